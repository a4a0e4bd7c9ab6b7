package graph

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"neuromast/flows/hostgraph"
)

var update = flag.Bool("update", false, "rewrite golden files")

// office is a site of n workstations and five servers, one of whose workstations attacks two others.
func office(n int) *Graph {
	g := &Graph{Title: fmt.Sprintf("office.pcap: %d hosts", n+6), Focus: -1}
	add := func(name, address, role string) int {
		g.Nodes = append(g.Nodes, Node{ID: address, Name: name, Addresses: []string{address}, Role: role, Why: "because"})
		return len(g.Nodes) - 1
	}
	dc := add("dc1.corp.example", "10.0.0.1", "domain controller")
	fs := add("fs1.corp.example", "10.0.0.2", "file server")
	db := add("", "10.0.0.3", "database server")
	web := add("intranet", "10.0.0.4", "web server")
	adm := add("admin-pc", "10.0.1.9", "administrator")
	g.Nodes[dc].Critical = true
	use := func(from, to int, s hostgraph.Service, n uint64) {
		g.Edges = append(g.Edges, Edge{From: from, To: to, Service: s, Edge: hostgraph.Edge{Service: s, Connections: n, Up: n * 1000, Down: n * 30000}})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var first, second int
	for i := range n {
		ws := add(fmt.Sprintf("ws%02d", i), fmt.Sprintf("10.0.1.%d", 20+i), "workstation")
		if i == 0 {
			first = ws
		} else if i == 1 {
			second = ws
		}
		use(ws, dc, hostgraph.Kerberos, 20)
		use(ws, dc, hostgraph.LDAP, 5)
		if rng.IntN(2) == 0 {
			use(ws, fs, hostgraph.SMB, 40)
		}
		if rng.IntN(3) == 0 {
			use(ws, web, hostgraph.HTTPS, 9)
		}
	}
	use(web, db, hostgraph.MSSQL, 1000)
	use(adm, fs, hostgraph.RDP, 3)
	use(adm, db, hostgraph.RDP, 2)
	use(adm, dc, hostgraph.AdminShare, 1)
	use(first, second, hostgraph.AdminShare, 2)
	out := len(g.Nodes)
	g.Nodes = append(g.Nodes, Node{ID: "bad.example", Role: "outside", Outside: true})
	g.Edges = append(g.Edges,
		Edge{From: first, To: second, Risk: 80, Rules: []string{"smb.exec"}},
		Edge{From: first, To: dc, Risk: 99, Rules: []string{"rpc.seq.dcsync", "auth.roast"}},
		Edge{From: second, To: out, Risk: 60, Rules: []string{"dns.info"}},
		Edge{From: first, To: fs, Risk: 30, Rules: []string{"smb.pipe"}})
	g.Sort()
	return g
}

func written(t *testing.T, g *Graph, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, g, format); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wellFormed reads XML to its end and counts elements by name.
func wellFormed(t *testing.T, doc []byte) map[string]int {
	t.Helper()
	count := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(doc))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("%v in\n%.2000s", err, doc)
		}
		if s, ok := tok.(xml.StartElement); ok {
			count[s.Name.Local]++
		}
	}
}

func TestGolden(t *testing.T) {
	g := office(6)
	for _, f := range Formats {
		got := written(t, g, f)
		path := filepath.Join("testdata", "office."+f)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs; run with -update, read the diff and look at the picture", path)
		}
	}
}

// TestCounts: every format holds every node and edge.
func TestCounts(t *testing.T) {
	g := office(40)
	if n := wellFormed(t, written(t, g, "graphml")); n["node"] != len(g.Nodes) || n["edge"] != len(g.Edges) {
		t.Errorf("graphml: %v for %d nodes, %d edges", n, len(g.Nodes), len(g.Edges))
	}
	var d document
	if err := json.Unmarshal(written(t, g, "json"), &d); err != nil || len(d.Nodes) != len(g.Nodes) || len(d.Edges) != len(g.Edges) {
		t.Errorf("json: %v, %d nodes, %d edges", err, len(d.Nodes), len(d.Edges))
	}
	if n := strings.Count(string(written(t, g, "dot")), " -> "); n != len(g.Edges) {
		t.Errorf("dot: %d edges", n)
	}
	svg := wellFormed(t, written(t, g, "svg"))
	if boxes := svg["g"] - 1; boxes != len(g.Nodes) {
		t.Errorf("svg: %d boxes for %d nodes", boxes, len(g.Nodes))
	}
	if len(g.lines())+3 != svg["path"] { // three tips of arrows
		t.Errorf("svg: %d lines, want %d", svg["path"]-3, len(g.lines()))
	}
}

// TestBoxesStandFree: no two boxes of a picture cover one another, whatever the size.
func TestBoxesStandFree(t *testing.T) {
	for _, n := range []int{0, 1, 3, 20, 54} {
		boxes, _ := office(max(n, 2)).layout()
		for i := range boxes {
			for j := range boxes[:i] {
				a, b := &boxes[i], &boxes[j]
				if a.x < b.x+b.w && b.x < a.x+a.w && a.y-b.y < boxHigh && b.y-a.y < boxHigh {
					t.Errorf("%d workstations: boxes %d and %d cover one another", n, i, j)
				}
			}
		}
	}
}

// TestManyHosts: a large site is drawn by roles; who is in findings stays.
func TestManyHosts(t *testing.T) {
	g := office(200)
	s := g.Summarised()
	if len(s.Nodes) > 12 {
		t.Errorf("%d nodes", len(s.Nodes))
	}
	hosts, named := 0, 0
	for _, n := range s.Nodes {
		hosts += max(n.Hosts, 1)
		if n.Name == "ws00" || n.Name == "ws01" || n.Name == "dc1.corp.example" || n.ID == "bad.example" {
			named++
		}
	}
	var before, after uint64
	for _, e := range g.Edges {
		before += e.Edge.Connections
	}
	for _, e := range s.Edges {
		after += e.Edge.Connections
	}
	if hosts != len(g.Nodes) || named != 4 || before != after {
		t.Errorf("%d of %d hosts, %d of 4 by name, %d of %d connections", hosts, len(g.Nodes), named, after, before)
	}
	wellFormed(t, written(t, g, "svg"))
}

// TestHostileNames: what hosts call themselves breaks no format.
func TestHostileNames(t *testing.T) {
	g := office(2)
	for i, name := range []string{"</text><script>alert(1)</script>", "a\"]; b -> c [x=\"", "nul\x00 \xff\xfe", "‮gpj", `back\`, strings.Repeat("x", 5000), "]]>", "\ufffe"} {
		g.Nodes[i%len(g.Nodes)].Name = name
		g.Nodes[(i+1)%len(g.Nodes)].ID += name
		for _, f := range Formats {
			doc := written(t, g, f)
			switch f {
			case "json":
				if !json.Valid(doc) {
					t.Errorf("%q: not JSON", name)
				}
			case "dot":
				if strings.Count(string(doc), "\n") != len(g.Nodes)+len(g.Edges)+6 {
					t.Errorf("%q: lines\n%s", name, doc)
				}
			default:
				if n := wellFormed(t, doc); n["script"] > 0 {
					t.Errorf("%q: a script", name)
				}
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if err := Write(io.Discard, office(2), "png"); err == nil {
		t.Error("png is written")
	}
}
