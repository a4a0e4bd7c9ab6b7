// Package graph writes the communication graph of a site, or of one host's neighbourhood, for people and programs: as DOT
// for Graphviz, as GraphML for yEd, Gephi and NetworkX, as JSON, and as a picture of its own (SVG).
//
// What is written depends on the graph alone: nodes are ordered by role, then by address, edges by their nodes and service.
// Every text from the wire is escaped for its format; what can't be printed is replaced.
package graph

import (
	"bufio"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"neuromast/flows/hostgraph"
	"neuromast/sensor/packet"
)

// Formats lists the formats that Write knows.
var Formats = []string{"dot", "graphml", "json", "svg"}

// Graph is what is to be written.
type Graph struct {
	Title string // one line
	Nodes []Node
	Edges []Edge
	Focus int // the node whose neighbourhood it is; -1: the whole site
}

// Node is a host, a destination outside that a finding names, or, in a picture of a large site, all hosts of a role.
type Node struct {
	ID        string // unique
	Name      string // empty: none
	Addresses []string
	Role      string
	Why       string // the reason for the role
	Critical  bool
	Outside   bool // an address or domain that is not of the site
	Hosts     int  // hosts that it stands for, where more than one
	Profile   hostgraph.Profile
}

// Edge is one client's use of one server's service. A finding between two hosts that has no such edge is one of service "".
type Edge struct {
	From, To int // of Nodes
	Service  hostgraph.Service
	Edge     hostgraph.Edge
	Risk     float64  // of the gravest finding about client and server; 0: none
	Rules    []string // of those findings
	Pairs    int      // edges that it stands for, where more than one
}

// label is what a node is called first.
func (n *Node) label() string {
	if n.Name != "" {
		return shorten(clean(n.Name), 60)
	}
	if len(n.Addresses) > 0 {
		return n.Addresses[0]
	}
	return shorten(clean(n.ID), 60)
}

// clean replaces what can't be printed, and cuts what is too long for any reader.
func clean(s string) string {
	var b strings.Builder
	for i, r := range strings.ToValidUTF8(s, "\ufffd") {
		if i > 1000 {
			b.WriteString("…")
			break
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfffe || r == 0xffff {
			r = '\ufffd'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// roleOrder ranks roles for the order of nodes: servers first.
var roleOrder = []string{
	"domain controller", "file server", "database server", "mail server", "web server", "print server", "resolver", "server", "backup", "deployment",
	"monitoring", "scanner", "device", "gateway", "jump host", "administrator", "other", "workstation", "unknown", "outside",
}

// Sort brings nodes and edges into the order that depends on what they say alone.
func (g *Graph) Sort() {
	at := make([]int, len(g.Nodes)) // old place -> new
	order := make([]int, len(g.Nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &g.Nodes[a], &g.Nodes[b]
		return cmp.Or(cmp.Compare(slices.Index(roleOrder, x.Role), slices.Index(roleOrder, y.Role)), compareAddresses(x, y), cmp.Compare(x.ID, y.ID))
	})
	nodes := make([]Node, len(order))
	for to, from := range order {
		at[from] = to
		nodes[to] = g.Nodes[from]
	}
	g.Nodes = nodes
	for i := range g.Edges {
		g.Edges[i].From, g.Edges[i].To = at[g.Edges[i].From], at[g.Edges[i].To]
	}
	if g.Focus >= 0 {
		g.Focus = at[g.Focus]
	}
	slices.SortStableFunc(g.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Service, b.Service))
	})
}

// compareAddresses orders hosts by their first address, as numbers.
func compareAddresses(x, y *Node) int {
	key := func(n *Node) string {
		if len(n.Addresses) == 0 {
			return "~"
		}
		var parts []string
		for p := range strings.FieldsFuncSeq(n.Addresses[0], func(r rune) bool { return r == '.' || r == ':' || r == '/' }) {
			parts = append(parts, fmt.Sprintf("%5s", p))
		}
		return strings.Join(parts, ".")
	}
	return cmp.Compare(key(x), key(y))
}

// Write writes g in one of Formats.
func Write(w io.Writer, g *Graph, format string) error {
	b := bufio.NewWriter(w)
	var err error
	switch format {
	case "dot":
		g.dot(b)
	case "graphml":
		err = g.graphML(b)
	case "json":
		err = g.json(b)
	case "svg":
		g.svg(b)
	default:
		return fmt.Errorf("format %q is none of %s", format, strings.Join(Formats, ", "))
	}
	if err != nil {
		return err
	}
	return b.Flush()
}

// stamp writes a time; empty where there is none.
func stamp(t packet.Time) string {
	if t == 0 {
		return ""
	}
	return t.Std().UTC().Format(time.RFC3339)
}

// users lists an edge's users.
func (e *Edge) users() (names []string) {
	for _, u := range e.Edge.Users {
		names = append(names, clean(u.Name))
	}
	if e.Edge.MoreUsers {
		names = append(names, "…")
	}
	return names
}

// kind is how an edge is drawn.
type kind int

const (
	plain kind = iota
	admin      // administers the server
	alarm      // a finding of medium severity or more tells of it
)

// alarmRisk is from where on a finding marks an edge: the band medium.
const alarmRisk = 47

func (e *Edge) kind() kind {
	switch {
	case e.Risk >= alarmRisk:
		return alarm
	case e.Service.Admin():
		return admin
	}
	return plain
}

func (g *Graph) dot(w *bufio.Writer) {
	quote := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(s)) + `"`
	}
	fmt.Fprintf(w, "digraph neuromast {\n\tlabel=%s;\n\trankdir=LR;\n\tnode [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\"];\n\tedge [fontname=\"sans-serif\", fontsize=9, color=gray];\n", quote(g.Title))
	for i := range g.Nodes {
		n := &g.Nodes[i]
		text := strings.TrimSuffix(quote(n.label()), `"`)
		if n.Name != "" && len(n.Addresses) > 0 {
			text += `\n` + n.Addresses[0]
		}
		text += `\n` + n.Role + `"`
		fmt.Fprintf(w, "\t%s [label=%s, fillcolor=%q, tooltip=%s];\n", quote(n.ID), text, fill(n), quote(n.Why))
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		colour := [...]string{plain: "gray60", admin: "orange3", alarm: "red3"}[e.kind()]
		text := e.Service.String()
		if e.Service == hostgraph.NoService {
			text = strings.Join(e.Rules, " ")
		}
		fmt.Fprintf(w, "\t%s -> %s [label=%s, color=%s", quote(g.Nodes[e.From].ID), quote(g.Nodes[e.To].ID), quote(text), colour)
		if e.kind() == alarm {
			w.WriteString(", penwidth=2")
		}
		fmt.Fprintf(w, ", tooltip=%s];\n", quote(e.describe(g)))
	}
	w.WriteString("}\n")
}

// describe tells an edge in one line.
func (e *Edge) describe(g *Graph) string {
	text := g.Nodes[e.From].label() + " to " + g.Nodes[e.To].label()
	if e.Service != hostgraph.NoService {
		text += fmt.Sprintf(" by %s: %d connections", e.Service, e.Edge.Connections)
		if e.Pairs > 1 {
			text += fmt.Sprintf(" of %d pairs of hosts", e.Pairs)
		}
		text += fmt.Sprintf(", %s up, %s down", amount(e.Edge.Up), amount(e.Edge.Down))
		if e.Edge.First != 0 {
			text += ", " + stamp(e.Edge.First) + " to " + stamp(e.Edge.Last)
		}
	}
	if u := e.users(); len(u) > 0 {
		text += ", as " + strings.Join(u, ", ")
	}
	if e.Edge.Op != hostgraph.NoOp {
		text += ", ran: " + e.Edge.Op.String()
	}
	if len(e.Rules) > 0 {
		text += fmt.Sprintf(", findings: %s (risk %.0f)", strings.Join(e.Rules, " "), e.Risk)
	}
	return text
}

// amount writes a number of bytes.
func amount(n uint64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if float64(n) >= u.size {
			return fmt.Sprintf("%.3g %s", float64(n)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// document is the JSON form.
type document struct {
	Title string     `json:"title"`
	Nodes []jsonNode `json:"nodes"`
	Edges []jsonEdge `json:"edges"`
}

type jsonNode struct {
	ID         string        `json:"id"`
	Name       string        `json:"name,omitempty"`
	Addresses  []string      `json:"addresses"`
	Role       string        `json:"role"`
	Why        string        `json:"why,omitempty"`
	Critical   bool          `json:"critical,omitempty"`
	Outside    bool          `json:"outside,omitempty"`
	First      string        `json:"first,omitempty"`
	Last       string        `json:"last,omitempty"`
	ActiveDays int           `json:"active_days"`
	Initiated  uint64        `json:"initiated"`
	Answered   uint64        `json:"answered"`
	ToOutside  uint64        `json:"to_outside"`
	Failed     uint64        `json:"failed"`
	Hub        bool          `json:"hub,omitempty"`
	Services   []jsonService `json:"services"`
}

type jsonService struct {
	Service string `json:"service"`
	Clients int    `json:"clients"`
	Servers int    `json:"servers"`
}

type jsonEdge struct {
	Client      string   `json:"client"`
	Server      string   `json:"server"`
	Service     string   `json:"service"`
	First       string   `json:"first,omitempty"`
	Last        string   `json:"last,omitempty"`
	ActiveDays  int      `json:"active_days"`
	Connections uint64   `json:"connections"`
	Failed      uint64   `json:"failed"`
	Up          uint64   `json:"bytes_up"`
	Down        uint64   `json:"bytes_down"`
	Users       []string `json:"users,omitempty"`
	MoreUsers   bool     `json:"more_users,omitempty"`
	Ran         string   `json:"ran,omitempty"`
	Risk        float64  `json:"risk_score,omitempty"`
	Rules       []string `json:"rules,omitempty"`
}

func (g *Graph) json(w io.Writer) error {
	d := document{Title: g.Title, Nodes: []jsonNode{}, Edges: []jsonEdge{}}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		p := &n.Profile
		j := jsonNode{
			ID: n.ID, Name: n.Name, Addresses: append([]string{}, n.Addresses...), Role: n.Role, Why: n.Why, Critical: n.Critical, Outside: n.Outside,
			First: stamp(p.First), Last: stamp(p.Last), ActiveDays: p.ActiveDays, Initiated: p.Initiated, Answered: p.Answered, ToOutside: p.Outside,
			Failed: p.Failed, Hub: p.Hub, Services: []jsonService{},
		}
		for _, u := range p.Services {
			j.Services = append(j.Services, jsonService{u.Service.String(), u.Clients, u.Servers})
		}
		d.Nodes = append(d.Nodes, j)
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		j := jsonEdge{
			Client: g.Nodes[e.From].ID, Server: g.Nodes[e.To].ID, Service: e.Service.String(), First: stamp(e.Edge.First), Last: stamp(e.Edge.Last),
			ActiveDays: e.Edge.ActiveDays(), Connections: e.Edge.Connections, Failed: e.Edge.Failed, Up: e.Edge.Up, Down: e.Edge.Down,
			MoreUsers: e.Edge.MoreUsers, Ran: e.Edge.Op.String(), Risk: float64(int(e.Risk)), Rules: e.Rules,
		}
		for _, u := range e.Edge.Users {
			j.Users = append(j.Users, u.Name)
		}
		d.Edges = append(d.Edges, j)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}

func (g *Graph) graphML(w *bufio.Writer) error {
	text := func(s string) {
		_ = xml.EscapeText(w, []byte(clean(s))) // w keeps its error for Flush
	}
	w.WriteString(xml.Header + `<graphml xmlns="http://graphml.graphdrawing.org/xmlns">` + "\n")
	for _, k := range [...][3]string{
		{"name", "node", "string"}, {"addresses", "node", "string"}, {"role", "node", "string"}, {"why", "node", "string"}, {"initiated", "node", "long"},
		{"answered", "node", "long"}, {"service", "edge", "string"}, {"connections", "edge", "long"}, {"bytes_up", "edge", "long"},
		{"bytes_down", "edge", "long"}, {"first", "edge", "string"}, {"last", "edge", "string"}, {"users", "edge", "string"}, {"ran", "edge", "string"},
		{"risk_score", "edge", "double"}, {"rules", "edge", "string"},
	} {
		fmt.Fprintf(w, `  <key id="%s" for="%s" attr.name="%s" attr.type="%s"/>`+"\n", k[0], k[1], k[0], k[2])
	}
	w.WriteString(`  <graph edgedefault="directed">` + "\n")
	data := func(key, value string) {
		if value == "" {
			return
		}
		fmt.Fprintf(w, `      <data key="%s">`, key)
		text(value)
		w.WriteString("</data>\n")
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		w.WriteString(`    <node id="`)
		text(n.ID)
		w.WriteString("\">\n")
		data("name", n.Name)
		data("addresses", strings.Join(n.Addresses, " "))
		data("role", n.Role)
		data("why", n.Why)
		data("initiated", fmt.Sprint(n.Profile.Initiated))
		data("answered", fmt.Sprint(n.Profile.Answered))
		w.WriteString("    </node>\n")
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		w.WriteString(`    <edge source="`)
		text(g.Nodes[e.From].ID)
		w.WriteString(`" target="`)
		text(g.Nodes[e.To].ID)
		w.WriteString("\">\n")
		data("service", e.Service.String())
		data("connections", fmt.Sprint(e.Edge.Connections))
		data("bytes_up", fmt.Sprint(e.Edge.Up))
		data("bytes_down", fmt.Sprint(e.Edge.Down))
		data("first", stamp(e.Edge.First))
		data("last", stamp(e.Edge.Last))
		data("users", strings.Join(e.users(), " "))
		data("ran", e.Edge.Op.String())
		if e.Risk > 0 {
			data("risk_score", fmt.Sprintf("%.0f", e.Risk))
			data("rules", strings.Join(e.Rules, " "))
		}
		w.WriteString("    </edge>\n")
	}
	w.WriteString("  </graph>\n</graphml>\n")
	return nil
}
