package graph

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"

	"neuromast/flows/hostgraph"
)

// MaxDrawn is how many nodes a picture shows one by one; a larger graph is drawn by roles.
const MaxDrawn = 60

// The picture's measures in pixels.
const (
	boxHigh   = 34
	rowHigh   = 46
	letter    = 6.6 // mean width of a letter of 12 px
	small     = 5.6 // of 10 px
	margin    = 28
	headHigh  = 92 // title and legend
	gapWide   = 190
	minBox    = 96
	labelHigh = 12
)

// columnOf places roles from left to right, in the direction in which most contacts go.
func columnOf(n *Node) int {
	switch {
	case n.Outside:
		return 4
	case n.Role == "workstation" || n.Role == "unknown":
		return 0
	case n.Role == "administrator" || n.Role == "jump host" || n.Role == "monitoring" || n.Role == "scanner" || n.Role == "deployment" || n.Role == "gateway" || n.Role == "backup" || n.Role == "other":
		return 1
	case n.Role == "domain controller" || n.Role == "resolver":
		return 3
	}
	return 2
}

// fill is the colour of a node's box.
func fill(n *Node) string {
	switch {
	case n.Outside:
		return "#eeeeee"
	case n.Role == "workstation":
		return "#e3eefb"
	case n.Role == "unknown":
		return "#ffffff"
	case n.Role == "domain controller" || n.Role == "resolver":
		return "#f3e5f8"
	case columnOf(n) == 1:
		return "#fdf0d8"
	}
	return "#e4f3e4"
}

// box is a drawn node.
type box struct {
	node    int
	column  int
	place   int     // its column among those that have nodes
	gap     float64 // between columns
	x, y, w float64 // left, middle
	lines   [2]string
	alarmed bool
	rank    float64
}

// line is a drawn connection: all services between two nodes in one direction.
type line struct {
	from, to int
	edges    []*Edge
	kind     kind
}

// Summarised returns g, or where it has more than MaxDrawn nodes one with a node for each role: hosts that findings tell
// of, and the focus, stay by themselves as far as there is room.
func (g *Graph) Summarised() *Graph {
	if len(g.Nodes) <= MaxDrawn {
		return g
	}
	weight := make([]float64, len(g.Nodes))
	for i := range g.Edges {
		if e := &g.Edges[i]; e.Risk >= alarmRisk {
			weight[e.From] = max(weight[e.From], e.Risk+100) // actors first
			weight[e.To] = max(weight[e.To], e.Risk)
		}
	}
	if g.Focus >= 0 {
		weight[g.Focus] = math.Inf(1)
	}
	order := make([]int, 0, len(g.Nodes))
	for i := range g.Nodes {
		if weight[i] > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weight[b], weight[a]) })
	alone := map[int]bool{}
	for _, i := range order[:min(len(order), MaxDrawn/2)] {
		alone[i] = true
	}
	rest := map[string]int{} // hosts of a role that are drawn together: more than one
	for i := range g.Nodes {
		if !alone[i] {
			rest[g.Nodes[i].Role]++
		}
	}
	out := &Graph{Title: g.Title, Focus: -1}
	at := make([]int, len(g.Nodes))
	byRole := map[string]int{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if alone[i] || rest[n.Role] == 1 {
			at[i] = len(out.Nodes)
			out.Nodes = append(out.Nodes, *n)
			if i == g.Focus {
				out.Focus = at[i]
			}
			continue
		}
		place, ok := byRole[n.Role]
		if !ok {
			place = len(out.Nodes)
			byRole[n.Role] = place
			out.Nodes = append(out.Nodes, Node{ID: "role " + n.Role, Role: n.Role, Outside: n.Outside})
		}
		out.Nodes[place].Hosts++
		at[i] = place
	}
	for i := range out.Nodes {
		if n := &out.Nodes[i]; n.Hosts > 0 {
			n.Name = fmt.Sprintf("%d × %s", n.Hosts, n.Role)
		}
	}
	type key struct {
		from, to int
		service  hostgraph.Service
	}
	seen := map[key]int{}
	for i := range g.Edges {
		e := g.Edges[i]
		k := key{at[e.From], at[e.To], e.Service}
		place, ok := seen[k]
		if !ok {
			seen[k] = len(out.Edges)
			e.From, e.To, e.Pairs = k.from, k.to, 1
			e.Rules = slices.Clone(e.Rules)
			out.Edges = append(out.Edges, e)
			continue
		}
		o := &out.Edges[place]
		o.Pairs++
		o.Edge.Connections += e.Edge.Connections
		o.Edge.Up += e.Edge.Up
		o.Edge.Down += e.Edge.Down
		o.Edge.First = min(o.Edge.First, e.Edge.First)
		o.Edge.Last = max(o.Edge.Last, e.Edge.Last)
		o.Edge.Users, o.Edge.Op = nil, hostgraph.NoOp
		o.Risk = max(o.Risk, e.Risk)
		for _, r := range e.Rules {
			if !slices.Contains(o.Rules, r) {
				o.Rules = append(o.Rules, r)
			}
		}
	}
	return out
}

// svg draws the graph: roles in columns, hosts in rows, ordered so that lines are short; services as lines.
func (g *Graph) svg(w *bufio.Writer) {
	whole := g
	g = g.Summarised()
	boxes, lines := g.layout()
	text := func(s string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s))
		return b.String()
	}
	byNode := make([]*box, len(g.Nodes))
	for i := range boxes {
		byNode[boxes[i].node] = &boxes[i]
	}
	// The grave lines last and so on top.
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.kind, b.kind) })
	var labels []placed
	for i := range lines {
		if l := &lines[i]; l.labelled(len(lines)) {
			a, b := byNode[l.from], byNode[l.to]
			_, x, y := curve(a, b, hasReverse(lines, l))
			colour, _, _ := stroke(l.kind)
			p := placed{x, y, l.text(), colour}
			if a.column == b.column { // beside the bow, not over the boxes
				if x < a.x {
					p.x -= p.width()/2 - 4
				} else {
					p.x += p.width()/2 - 4
				}
			}
			labels = append(labels, p)
		}
	}
	labels = spreadOut(labels)
	left, width, height := float64(margin), 620.0, float64(headHigh+margin)
	for i := range boxes {
		b := &boxes[i]
		left, width, height = min(left, b.x), max(width, b.x+b.w), max(height, b.y+boxHigh/2)
	}
	for i := range lines { // lines within a column bow out of it
		if l := &lines[i]; byNode[l.from].column == byNode[l.to].column {
			_, x, _ := curve(byNode[l.from], byNode[l.to], hasReverse(lines, l))
			left, width = min(left, x-30), max(width, x+30)
		}
	}
	for i := range labels {
		half := labels[i].width() / 2
		left, width, height = min(left, labels[i].x-half), max(width, labels[i].x+half), max(height, labels[i].y)
	}
	shift := margin - left
	width += shift + margin
	height += margin

	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="Helvetica,Arial,sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(w, "<title>%s</title>\n", text(clean(g.Title)))
	fmt.Fprintf(w, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(w, `<text x="%d" y="30" font-size="16" font-weight="bold" fill="#222222">%s</text>`+"\n", margin, text(clean(g.Title)))
	note := "arrows go from client to server; hold the pointer on anything for details"
	if g != whole {
		note = fmt.Sprintf("%d hosts, drawn by role; --host ADDRESS shows one with its neighbours", len(whole.Nodes))
	}
	fmt.Fprintf(w, `<text x="%d" y="48" font-size="11" fill="#666666">%s</text>`+"\n", margin, text(note))
	x := float64(margin)
	for k, name := range [...]string{"use", "administration", "finding of medium severity or more"} {
		colour, wide, _ := stroke(kind(k))
		fmt.Fprintf(w, `<line x1="%.0f" y1="66" x2="%.0f" y2="66" stroke="%s" stroke-width="%.1f"/><text x="%.0f" y="70" font-size="11" fill="#444444">%s</text>`+"\n",
			x, x+26, colour, wide, x+32, name)
		x += 32 + 26 + float64(len(name))*6
	}
	w.WriteString("<defs>\n")
	for k := range 3 {
		colour, _, _ := stroke(kind(k))
		fmt.Fprintf(w, `<marker id="tip%d" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="%s"/></marker>`+"\n", k, colour)
	}
	w.WriteString("</defs>\n")

	fmt.Fprintf(w, `<g transform="translate(%.1f,0)">`+"\n", shift)
	for i := range lines {
		l := &lines[i]
		a, b := byNode[l.from], byNode[l.to]
		path, _, _ := curve(a, b, hasReverse(lines, l))
		colour, wide, opacity := stroke(l.kind)
		var n uint64
		var about []string
		for _, e := range l.edges {
			n += e.Edge.Connections
			about = append(about, e.describe(g))
		}
		wide += min(2, math.Log10(float64(n)+1)/2)
		fmt.Fprintf(w, `<path d="%s" fill="none" stroke="%s" stroke-width="%.1f" stroke-opacity="%.2f" marker-end="url(#tip%d)"><title>%s</title></path>`+"\n",
			path, colour, wide, opacity, l.kind, text(strings.Join(about, "\n")))
	}
	for i := range boxes {
		b := &boxes[i]
		n := &g.Nodes[b.node]
		edge, wide := "#8a8a8a", 1.0
		if b.alarmed {
			edge, wide = "#c62828", 2
		}
		if b.node == g.Focus {
			edge, wide = "#1565c0", 2.5
		}
		fmt.Fprintf(w, `<g><title>%s</title><rect x="%.0f" y="%.0f" width="%.0f" height="%d" rx="5" fill="%s" stroke="%s" stroke-width="%.1f"/>`,
			text(n.describe()), b.x, b.y-boxHigh/2, b.w, boxHigh, fill(n), edge, wide)
		weight := "normal"
		if n.Critical {
			weight = "bold"
		}
		fmt.Fprintf(w, `<text x="%.0f" y="%.0f" text-anchor="middle" font-weight="%s" fill="#222222">%s</text>`, b.x+b.w/2, b.y-2, weight, text(b.lines[0]))
		fmt.Fprintf(w, `<text x="%.0f" y="%.0f" text-anchor="middle" font-size="10" fill="#666666">%s</text></g>`+"\n", b.x+b.w/2, b.y+11, text(b.lines[1]))
	}
	for _, l := range labels {
		wide := l.width()
		fmt.Fprintf(w, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="white" fill-opacity="0.85"/><text x="%.1f" y="%.1f" text-anchor="middle" font-size="10" fill="%s">%s</text>`+"\n",
			l.x-wide/2, l.y-labelHigh+3, wide, labelHigh, l.x, l.y, l.colour, text(l.text))
	}
	w.WriteString("</g>\n</svg>\n")
}

// describe tells a node in lines.
func (n *Node) describe() string {
	if n.Hosts > 0 {
		return n.Name
	}
	var lines []string
	if n.Name != "" {
		lines = append(lines, clean(n.Name))
	}
	lines = append(lines, strings.Join(n.Addresses, ", "), n.Role+": "+clean(n.Why))
	if p := &n.Profile; !n.Outside {
		lines = append(lines, fmt.Sprintf("%d connections made (%d to the outside), %d answered, %d attempts in vain", p.Initiated, p.Outside, p.Answered, p.Failed))
	}
	return strings.Join(lines, "\n")
}

// labelled says that a line of so many has its services written on it.
func (l *line) labelled(of int) bool { return l.kind != plain || of <= 12 }

// text names a line's services; the grave ones first, three at most.
func (l *line) text() string {
	var names []string
	for _, k := range [...]kind{alarm, admin, plain} {
		for _, e := range l.edges {
			if e.kind() != k {
				continue
			}
			list := e.Rules
			if e.Service != hostgraph.NoService {
				list = []string{e.Service.String()}
			}
			for _, name := range list {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	if len(names) > 3 {
		names = append(names[:2], fmt.Sprintf("+%d", len(names)-2))
	}
	return shorten(strings.Join(names, " "), 40)
}

// stroke is how a kind of line looks.
func stroke(k kind) (colour string, width, opacity float64) {
	switch k {
	case alarm:
		return "#c62828", 1.8, 0.95
	case admin:
		return "#d9822b", 1.2, 0.85
	}
	return "#90a4ae", 0.8, 0.55
}

// hasReverse says that there is a line the other way.
func hasReverse(lines []line, l *line) bool {
	return slices.ContainsFunc(lines, func(o line) bool { return o.from == l.to && o.to == l.from })
}

// layout places nodes in columns and rows.
func (g *Graph) layout() ([]box, []line) {
	boxes := make([]box, len(g.Nodes))
	for i := range g.Nodes {
		n := &g.Nodes[i]
		b := &boxes[i]
		b.node, b.column, b.rank = i, columnOf(n), float64(i)
		b.lines = [2]string{shorten(n.label(), 30), n.Role}
		if n.Hosts > 0 {
			b.lines[1] = "all together"
		} else if n.Name != "" && len(n.Addresses) > 0 {
			b.lines[1] = n.Addresses[0] + " · " + n.Role
		}
		b.w = max(minBox, float64(len([]rune(b.lines[0])))*letter+16, float64(len([]rune(b.lines[1])))*small+16)
	}
	var asks, answers = make([]bool, len(boxes)), make([]bool, len(boxes))
	for _, e := range g.Edges {
		asks[e.From], answers[e.To] = true, true
	}
	for i := range boxes { // of whom only answers are known stands with the servers
		if boxes[i].column == 0 && answers[i] && !asks[i] {
			boxes[i].column = 2
		}
	}
	if g.Focus >= 0 { // clients on the left, servers on the right
		for i := range boxes {
			boxes[i].column = 0
		}
		for _, e := range g.Edges {
			if e.From == g.Focus {
				boxes[e.To].column = 2
			}
		}
		boxes[g.Focus].column = 1
	}
	lines := g.lines()
	for i := range lines {
		if lines[i].kind == alarm {
			boxes[lines[i].from].alarmed = true
		}
	}
	g.order(boxes, lines)

	// Columns without nodes take no room; a column of many rows makes the others stand in its middle.
	var columns [5][]*box
	for i := range boxes {
		columns[boxes[i].column] = append(columns[boxes[i].column], &boxes[i])
	}
	tall := 0
	for _, c := range columns {
		tall = max(tall, len(c))
	}
	gap := float64(gapWide) // room for the longest label
	for i := range lines {
		if lines[i].labelled(len(lines)) {
			gap = max(gap, float64(len([]rune(lines[i].text())))*small+80)
		}
	}
	x := float64(margin)
	place := 0
	for _, c := range columns {
		if len(c) == 0 {
			continue
		}
		place++
		slices.SortStableFunc(c, func(a, b *box) int { return cmp.Compare(a.rank, b.rank) })
		wide := 0.0
		for _, b := range c {
			wide = max(wide, b.w)
		}
		// A short column spreads over the height of the tallest, at most three rows apart.
		step := min(3, max(1, float64(tall)/float64(len(c)))) * rowHigh
		top := headHigh + (float64(tall)*rowHigh-step*float64(len(c)))/2 + step/2
		for i, b := range c {
			b.x, b.y = x+(wide-b.w)/2, top+float64(i)*step
			b.place, b.gap = place, gap
		}
		x += wide + gap
	}
	return boxes, lines
}

// lines joins the edges of each pair of nodes.
func (g *Graph) lines() (lines []line) {
	place := map[[2]int]int{}
	for i := range g.Edges {
		e := &g.Edges[i]
		k := [2]int{e.From, e.To}
		at, ok := place[k]
		if !ok {
			at = len(lines)
			place[k] = at
			lines = append(lines, line{from: e.From, to: e.To})
		}
		l := &lines[at]
		l.edges = append(l.edges, e)
		l.kind = max(l.kind, e.kind())
	}
	return lines
}

// order ranks the nodes of each column by the mean place of their neighbours (Sugiyama, Tagawa and Toda, Methods for
// visual understanding of hierarchical system structures, 1981), a few times over.
func (g *Graph) order(boxes []box, lines []line) {
	neighbours := make([][]int, len(boxes))
	for i := range lines {
		if l := &lines[i]; l.from != l.to {
			neighbours[l.from] = append(neighbours[l.from], l.to)
			neighbours[l.to] = append(neighbours[l.to], l.from)
		}
	}
	place := make([]float64, len(boxes)) // 0 to 1 within its column
	for range 8 {
		var columns [5][]int
		for i := range boxes {
			columns[boxes[i].column] = append(columns[boxes[i].column], i)
		}
		for _, c := range columns {
			slices.SortStableFunc(c, func(a, b int) int { return cmp.Or(cmp.Compare(boxes[a].rank, boxes[b].rank), cmp.Compare(a, b)) })
			for i, n := range c {
				place[n] = (float64(i) + 0.5) / float64(len(c))
			}
		}
		for i := range boxes {
			sum, n := 0.0, 0.0
			for _, o := range neighbours[i] {
				weight := 1.0
				if boxes[o].column == boxes[i].column {
					weight = 0.5
				}
				sum += weight * place[o]
				n += weight
			}
			if n > 0 {
				boxes[i].rank = (sum/n + place[i]) / 2
			} else {
				boxes[i].rank = 2 // hosts without neighbours stand below
			}
		}
	}
}

// curve draws from one box to another and says where its label may stand. A line within a column bows out to its left;
// of two opposite lines each keeps to its side.
func curve(a, b *box, both bool) (path string, lx, ly float64) {
	shift := 0.0
	if both {
		shift = 5
	}
	switch {
	case a == b:
		x, y := a.x+a.w, a.y
		return fmt.Sprintf("M%.1f,%.1f C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x, y-8, x+40, y-22, x+40, y+22, x, y+8), x + 38, y
	case a.column == b.column:
		x1, x2 := a.x, b.x
		if both && a.y > b.y { // the way up bows out to the right
			x1, x2 = a.x+a.w, b.x+b.w
			bow := 36 + math.Min(70, math.Abs(a.y-b.y)/3)
			return fmt.Sprintf("M%.1f,%.1f C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x1, a.y, x1+bow, a.y, x2+bow, b.y, x2, b.y), max(x1, x2) + bow*0.7, (a.y + b.y) / 2
		}
		bow := 36 + math.Min(70, math.Abs(a.y-b.y)/3)
		return fmt.Sprintf("M%.1f,%.1f C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x1, a.y, x1-bow, a.y, x2-bow, b.y, x2, b.y), min(x1, x2) - bow*0.7, (a.y + b.y) / 2
	}
	x1, x2 := a.x+a.w, b.x
	y1, y2 := a.y-shift, b.y-shift
	if a.column > b.column {
		x1, x2 = a.x, b.x+b.w
		y1, y2 = a.y+shift, b.y+shift
	}
	half := (x2 - x1) / 2
	path = fmt.Sprintf("M%.1f,%.1f C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x1, y1, x1+half, y1, x2-half, y2, x2, y2)
	// The label stands on the curve, half the way; where other columns lie between, in the gap before the server.
	at := func(t float64) (x, y float64) {
		u := 1 - t
		return u*u*u*x1 + 3*u*u*t*(x1+half) + 3*u*t*t*(x2-half) + t*t*t*x2, u*u*u*y1 + 3*u*u*t*y1 + 3*u*t*t*y2 + t*t*t*y2
	}
	t := 0.5
	if a.place-b.place > 1 || b.place-a.place > 1 {
		for t < 0.95 {
			if x, _ := at(t); math.Abs(x2-x) <= b.gap/2 {
				break
			}
			t += 0.01
		}
	}
	px, py := at(t)
	return path, px, py + 3
}

// placed is a label on a line.
type placed struct {
	x, y   float64
	text   string
	colour string
}

func (l *placed) width() float64 { return float64(len([]rune(l.text)))*small + 4 }

// spreadOut moves labels that cover one another down, in the order of their height.
func spreadOut(labels []placed) []placed {
	slices.SortStableFunc(labels, func(a, b placed) int { return cmp.Or(cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x)) })
	for i := range labels {
		for again := true; again; {
			again = false
			for j := range labels[:i] {
				a, b := &labels[j], &labels[i]
				if math.Abs(a.x-b.x) < (a.width()+b.width())/2 && math.Abs(a.y-b.y) < labelHigh {
					b.y = a.y + labelHigh
					again = true
				}
			}
		}
	}
	return labels
}

// shorten cuts a text in its middle.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most*2/3]) + "…" + string(r[len(r)-most/3+1:])
}
