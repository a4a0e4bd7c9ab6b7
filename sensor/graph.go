package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"neuromast/detectors"
	"neuromast/export/graph"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/sensor/capture"
	"neuromast/sensor/config"
	"neuromast/sensor/packet"
)

// graphOptions is the command line of graph.
type graphOptions struct {
	config  string
	host    string
	format  string
	out     string
	bpf     string
	workers int
	quiet   bool
	set     []string
}

func graphCommand() *cobra.Command {
	var o graphOptions
	cmd := &cobra.Command{
		Use:   "graph [flags] FILE|DIR|- …",
		Short: "Write or draw who talks to whom in captures, or one host's neighbours",
		Long: `Reads captures as replay does and writes the communication graph of the site's own hosts.

An arrow goes from a client to a server that answered it with content, one for each service. Services are named by content,
else by their usual port; smb-admin is SMB that opened an administrative share or ran something, rpc-exec is DCE/RPC that did.
Contacts that failed make no arrow. A host's box says what it is for, as far as its contacts tell (hold the pointer on it for
the reason); assets.role in the configuration overrides that. Findings of medium severity or more are red, administration is
orange. Destinations outside are drawn only where a finding names one.

Formats: svg (a picture for any browser; more than ` + fmt.Sprint(graph.MaxDrawn) + ` hosts are drawn by role), dot (Graphviz), graphml (yEd, Gephi, NetworkX),
json (all numbers: first and last use, days, connections, bytes, users, what was run). Without --format the ending of --out
decides, else dot is written.`,
		Example: `  neuromast graph --out site.svg day1.pcapng day2.pcapng
  neuromast graph --host 10.0.0.5 --out host.svg capture.pcap
  neuromast graph --host dc1 --format json capture.pcap | jq '.edges[] | select(.ran)'
  neuromast graph --config sensor.yaml capture.pcap | dot -Tpdf -o site.pdf`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return drawGraph(cmd.Context(), o, paths, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration `file`: networks, assets and their roles; neuromast config lists the keys")
	f.StringVar(&o.host, "host", "", "only this host and its neighbours: an `address`, an id, or a name, whole or its first label")
	f.StringVar(&o.format, "format", "", "`format`: "+strings.Join(graph.Formats, ", "))
	f.StringVar(&o.out, "out", "", "`file` to write to instead of standard output")
	f.StringVar(&o.bpf, "bpf", "", "take only what this tcpdump `filter` takes")
	f.IntVar(&o.workers, "workers", min(runtime.NumCPU(), 16), "worker goroutines; results don't depend on it")
	f.BoolVar(&o.quiet, "quiet", false, "no notes, only the graph and errors")
	f.StringArrayVar(&o.set, "set", nil, "set a configuration key: `key=value`; may be repeated")
	if err := cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(graph.Formats, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// drawGraph analyses captures and writes the graph.
func drawGraph(ctx context.Context, o graphOptions, paths []string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	if o.format == "" {
		o.format = "dot"
		if end := strings.TrimPrefix(filepath.Ext(o.out), "."); slices.Contains(graph.Formats, end) {
			o.format = end
		}
	}
	if !slices.Contains(graph.Formats, o.format) {
		return usageError{fmt.Errorf("--format %s: is none of %s", o.format, strings.Join(graph.Formats, ", "))}
	}
	if o.workers < 1 || o.workers > flows.NumShards {
		return usageError{fmt.Errorf("--workers %d: must lie between 1 and %d", o.workers, flows.NumShards)}
	}
	cfg, err := config.Load(o.config, os.Environ(), o.set)
	if err != nil {
		return usageError{err}
	}
	cfg.Export.Kafka.Brokers = nil // a picture publishes nothing
	inputs, err := capture.Open(paths, stdin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inputs.Close()) }()
	src, err := filter(inputs, o.bpf)
	if err != nil {
		return usageError{err}
	}
	s, err := newSession(ctx, plan{
		sources: []capture.Source{src}, workers: o.workers, seed: replaySeed, quiet: o.quiet,
		logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level(o.quiet)})),
	}, cfg)
	if err != nil {
		return err
	}
	if _, err := s.pipeline.Run(ctx); err != nil {
		return errors.Join(err, s.abandon())
	}
	for _, in := range s.inputs() {
		if in.Damage != "" {
			fmt.Fprintf(stderr, "neuromast: %s: %s\n", in.Name, in.Damage)
		}
	}
	g, err := s.view(o.host)
	if err != nil {
		return usageError{err}
	}
	if !o.quiet {
		if w := s.analysis.fit.Warning(); w != "" {
			fmt.Fprintf(stderr, "neuromast: note: %s\n", w)
		}
		fmt.Fprintf(stderr, "neuromast: %s\n", census(g))
	}
	if o.out == "" {
		return graph.Write(stdout, g, o.format)
	}
	file, err := os.Create(o.out)
	if err != nil {
		return err
	}
	return errors.Join(graph.Write(file, g, o.format), file.Close())
}

// census counts hosts by role.
func census(g *graph.Graph) string {
	var roles []string
	count := map[string]int{}
	for _, n := range g.Nodes {
		if count[n.Role]++; count[n.Role] == 1 {
			roles = append(roles, n.Role)
		}
	}
	for i, r := range roles {
		roles[i] = fmt.Sprintf("%d %s", count[r], r)
	}
	return g.Title + ": " + strings.Join(roles, ", ")
}

// view gathers the graph of what was analysed: of hosts with contacts or findings, or of one host and its neighbours.
func (s *session) view(host string) (*graph.Graph, error) {
	known, links := s.analysis.engine.Hosts(), s.analysis.engine.Graph()
	g := &graph.Graph{Focus: -1}
	places := map[flows.HostNumber]int{}
	ids := map[string]int{} // place by id
	numbers := slices.Sorted(links.Hosts)
	for _, n := range numbers {
		p, _ := links.Profile(n)
		node := graph.Node{ID: p.ID, Name: p.Name, Role: p.Role.String(), Why: p.Why, Profile: p}
		for _, k := range known.Addresses(nil, n) {
			node.Addresses = append(node.Addresses, k.Addr.String())
			if a, ok := s.site.Asset(k.Addr); ok {
				node.Critical = node.Critical || a.Critical
				if a.Role != "" && p.Role == hostgraph.Other {
					node.Role = a.Role
				}
				if node.Name == "" || len(node.Addresses) == 1 {
					node.Name = a.Name
				}
			}
		}
		if _, ok := ids[node.ID]; ok { // the same address, of another host then
			node.ID = fmt.Sprintf("%s #%d", node.ID, n)
		}
		places[n] = len(g.Nodes)
		ids[node.ID] = len(g.Nodes)
		g.Nodes = append(g.Nodes, node)
	}
	for _, n := range numbers {
		links.Out(n, func(e hostgraph.Edge) bool {
			if to, ok := places[e.Server]; ok {
				g.Edges = append(g.Edges, graph.Edge{From: places[n], To: to, Service: e.Service, Edge: e})
			}
			return true
		})
	}
	s.addFindings(g, ids)
	if host != "" {
		focus, err := pickHost(g, host)
		if err != nil {
			return nil, err
		}
		g.Focus = focus
	}
	prune(g)
	g.Sort()
	var names []string
	for _, in := range s.inputs() {
		names = append(names, filepath.Base(in.Name))
	}
	what := names[0]
	if len(names) > 1 {
		what = fmt.Sprintf("%s and %d more", names[0], len(names)-1)
	}
	if g.Focus >= 0 {
		what = cmp.Or(g.Nodes[g.Focus].Name, g.Nodes[g.Focus].ID) + " in " + what
	}
	g.Title = fmt.Sprintf("%s: %d hosts, %d edges", what, len(g.Nodes), len(g.Edges))
	return g, nil
}

// addFindings makes one edge of all findings between two hosts. Targets outside become nodes.
func (s *session) addFindings(g *graph.Graph, ids map[string]int) {
	node := func(id string, k detectors.HostKey, outside bool) int {
		if at, ok := ids[id]; ok {
			return at
		}
		n := graph.Node{ID: id, Role: "unknown", Outside: outside}
		if outside {
			n.Role = "outside"
		}
		if k.Addr != (packet.Addr{}) {
			n.Addresses = []string{k.Addr.String()}
		}
		ids[id] = len(g.Nodes)
		g.Nodes = append(g.Nodes, n)
		return len(g.Nodes) - 1
	}
	edges := map[[2]int]int{}
	for _, f := range s.found.found {
		if f.Target.Addr == (packet.Addr{}) && f.Domain == "" {
			continue
		}
		from := node(f.ActorHost.ID, f.Actor, !s.site.Internal(f.Actor.Addr))
		var to int
		if f.Domain != "" {
			to = node(f.Domain, detectors.HostKey{}, true)
		} else {
			to = node(f.TargetHost.ID, f.Target, !s.site.Internal(f.Target.Addr))
		}
		k := [2]int{from, to}
		at, ok := edges[k]
		if !ok {
			at = len(g.Edges)
			edges[k] = at
			g.Edges = append(g.Edges, graph.Edge{From: from, To: to})
		}
		e := &g.Edges[at]
		e.Risk = max(e.Risk, detectors.Risk(f.LLR))
		if !slices.Contains(e.Rules, f.Rule.ID) {
			e.Rules = append(e.Rules, f.Rule.ID)
		}
	}
}

// pickHost finds the host that a word means.
func pickHost(g *graph.Graph, word string) (int, error) {
	address := ""
	if a, err := netip.ParseAddr(word); err == nil {
		address = a.Unmap().String()
	}
	var exact, loose []int
	for i := range g.Nodes {
		n := &g.Nodes[i]
		label, _, _ := strings.Cut(n.Name, ".")
		switch {
		case n.ID == word || address != "" && slices.Contains(n.Addresses, address) || n.Name != "" && strings.EqualFold(n.Name, word):
			exact = append(exact, i)
		case address == "" && label != "" && strings.EqualFold(label, word):
			loose = append(loose, i)
		}
	}
	if len(exact) == 0 {
		exact = loose
	}
	switch len(exact) {
	case 1:
		return exact[0], nil
	case 0:
		return 0, fmt.Errorf("--host %s: no host of that address, id or name had a contact", word)
	}
	var ids []string
	for _, i := range exact {
		ids = append(ids, g.Nodes[i].ID)
	}
	return 0, fmt.Errorf("--host %s: may be any of %s", word, strings.Join(ids, ", "))
}

// prune leaves nodes out that have no edge, and, where there is a focus, edges that don't touch it.
func prune(g *graph.Graph) {
	kept := g.Edges[:0]
	has := make([]bool, len(g.Nodes))
	if g.Focus >= 0 {
		has[g.Focus] = true
	}
	for _, e := range g.Edges {
		if g.Focus >= 0 && e.From != g.Focus && e.To != g.Focus {
			continue
		}
		kept = append(kept, e)
		has[e.From], has[e.To] = true, true
	}
	at := make([]int, len(g.Nodes))
	nodes := g.Nodes[:0]
	for i, n := range g.Nodes {
		if has[i] {
			at[i] = len(nodes)
			nodes = append(nodes, n)
		}
	}
	for i := range kept {
		kept[i].From, kept[i].To = at[kept[i].From], at[kept[i].To]
	}
	if g.Focus >= 0 {
		g.Focus = at[g.Focus]
	}
	g.Nodes, g.Edges = nodes, kept
}
