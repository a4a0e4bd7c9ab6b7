package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"neuromast/export/kafka"
	"neuromast/flows"
	"neuromast/flows/enrich"
	"neuromast/sensor/bpf"
	"neuromast/sensor/capture"
	"neuromast/sensor/capture/ring"
	"neuromast/sensor/config"
	"neuromast/sensor/fitness"
	"neuromast/sensor/packet"
	"neuromast/sensor/pipeline"
	"neuromast/sensor/privilege"
)

// errUnfit is the failure of a check that found something to mend; what it is was printed.
var errUnfit = errors.New("check: not fit; see the lines marked fail")

func checkCommand() *cobra.Command {
	var path string
	var set []string
	var asJSON bool
	var listen time.Duration
	cmd := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Say whether machine and configuration are fit to capture and publish: each item ok, warn or fail, and what mends it",
		Long: `Looks at the configuration, the machine (kernel, rights, clock, memory), each interface (link, offloads, ring, queues), the
traffic that it sees within --listen, the spool's disk, and Kafka (brokers, advertised addresses, producer id, topics).
Nothing is changed. Exit status: 0 fit, also with warnings; 1 something failed; 2 wrong usage or configuration.`,
		Example: `  neuromast check --config /etc/neuromast/sensor.yaml
  neuromast check --set capture.interfaces=eth1 --listen 30s --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, os.Environ(), set)
			if err != nil {
				return usageError{err}
			}
			return printItems(cmd.OutOrStdout(), check(cmd.Context(), cfg, listen), asJSON)
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "configuration `file`")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a configuration key: `key=value`; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array instead of lines")
	cmd.Flags().DurationVar(&listen, "listen", 3*time.Second, "how long to look at each interface's traffic; 0: not at all")
	return cmd
}

// printItems prints the items and says whether all is fit.
func printItems(out io.Writer, items []fitness.Item, asJSON bool) error {
	fit := true
	for _, i := range items {
		fit = fit && i.Level != fitness.Fail
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(items); err != nil {
			return err
		}
	} else {
		for _, i := range items {
			fmt.Fprintf(out, "%-5s %s: %s\n", i.Level, i.Name, i.Text)
			if i.Mend != "" {
				fmt.Fprintf(out, "      -> %s\n", i.Mend)
			}
		}
	}
	if !fit {
		return errUnfit
	}
	return nil
}

// check looks at everything that the configuration speaks of.
func check(ctx context.Context, cfg config.Config, listen time.Duration) (items []fitness.Item) {
	add := func(name string, level fitness.Level, mend, format string, args ...any) {
		items = append(items, fitness.Item{Name: name, Level: level, Text: fmt.Sprintf(format, args...), Mend: mend})
	}
	add("configuration", fitness.OK, "", "every key is known and valid")
	interfaces := cfg.Capture.Interfaces
	items = append(items, fitness.Memory(int64(cfg.Memory.Budget), len(interfaces)*cfg.Capture.Readers, cfg.Capture.RingMiB)...)
	if len(interfaces) == 0 {
		add("capture.interfaces", fitness.Warn, "name the mirror port's interface for `neuromast run`", "is empty: only replay works")
	} else {
		items = append(items, fitness.Machine()...)
		if privilege.Root() {
			if u, err := privilege.Lookup(cfg.Privileges.User); err != nil {
				add("privileges.user", fitness.Fail, "", "%v", err)
			} else {
				add("privileges.user", fitness.OK, "", "run will become %s", u.Name)
			}
		}
		filter, err := bpf.Compile(cfg.Capture.Filter, packet.LinkEthernet, bpf.Ancillary)
		if err != nil {
			add("capture.filter", fitness.Fail, "", "%v", err)
		}
		for _, name := range interfaces {
			looked := fitness.Interface(name, cfg.Capture.Readers)
			items = append(items, looked...)
			if listen > 0 && err == nil && looked[0].Level != fitness.Fail {
				items = append(items, traffic(ctx, cfg, name, ring.NewFilter(filter), listen)...)
			}
		}
	}
	if len(cfg.Export.Kafka.Brokers) == 0 {
		add("export.kafka.brokers", fitness.Warn, "set it to host:port of your brokers", "is empty, so nothing is published to Kafka")
		return items
	}
	items = append(items, fitness.Spool(cfg.Export.Spool)...)
	for _, i := range kafka.Check(ctx, cfg.Export.Kafka) {
		add(i.Name, fitness.Level(i.Level), "", "%s", i.Text)
	}
	return items
}

// sample is what check learns from an interface's traffic.
type sample struct {
	site                             *enrich.Site
	flows, internal, outside, oneWay uint64
}

// Feed implements pipeline.Analyst.
func (s *sample) Feed(m *flows.Merged) {
	for i := range m.Order {
		it := &m.Order[i]
		if it.Kind != flows.KindRecord {
			continue
		}
		r := &m.Batches[it.Batch].Records[it.Index]
		if !r.Final {
			continue
		}
		s.flows++
		from, to := s.site.Internal(r.Orig), s.site.Internal(r.Resp)
		switch {
		case from && to:
			s.internal++
		case !from && !to:
			s.outside++
		}
		if r.HalfSeen() && r.Proto == packet.ProtoTCP {
			s.oneWay++
		}
	}
}

// Finish implements pipeline.Analyst.
func (s *sample) Finish() {}

// Record implements pipeline.Recorder.
func (s *sample) Record(*flows.Merged) error { return nil }

// traffic captures for a while and says what kind of wire this is.
func traffic(ctx context.Context, cfg config.Config, name string, filter ring.Filter, listen time.Duration) (items []fitness.Item) {
	add := func(what string, level fitness.Level, mend, format string, args ...any) {
		items = append(items, fitness.Item{Name: "capture." + name + what, Level: level, Text: fmt.Sprintf(format, args...), Mend: mend})
	}
	small := cfg.Capture
	small.Readers = 1
	rings, err := ring.Open(small, name, filter, 0)
	if err != nil {
		add(".traffic", fitness.Fail, "", "%v", err)
		return items
	}
	defer rings[0].Close()
	site, err := enrich.NewSite(cfg.Networks, cfg.Assets)
	if err != nil {
		add(".traffic", fitness.Fail, "", "%v", err)
		return items
	}
	s := &sample{site: site}
	p, err := pipeline.New(pipeline.Config{
		Workers: min(runtime.NumCPU(), 4), Live: true, Decoder: cfg.Packets.Decoder, Fragments: cfg.Packets.Fragments, Table: cfg.Flows.Table, Proto: cfg.Flows.Parser,
	}, []capture.Source{rings[0]}, s, s)
	if err != nil {
		add(".traffic", fitness.Fail, "", "%v", err)
		return items
	}
	stop := time.AfterFunc(listen, rings[0].Stop)
	defer stop.Stop()
	t, err := p.Run(ctx)
	if err != nil {
		add(".traffic", fitness.Fail, "", "%v", err)
		return items
	}
	share := func(n, of uint64) uint64 { return n * 100 / max(of, 1) }
	if t.Packets == 0 {
		add(".traffic", fitness.Warn, "look at the mirror session, or listen longer with --listen", "nothing seen within %v", listen)
		return items
	}
	add(".traffic", fitness.OK, "", "%d packets, %d bytes and %d conversations within %v", t.Packets, t.Bytes, s.flows, listen)
	if t.Dropped > 0 {
		add(".drops", fitness.Warn, "raise capture.ring_mib or capture.readers", "%d packets dropped by kernel or card", t.Dropped)
	} else {
		add(".drops", fitness.OK, "", "none")
	}
	if n := share(s.outside, s.flows); n >= 10 {
		add(".internal", fitness.Warn, "set networks.internal", "%d %% of conversations touch no internal address", n)
	} else {
		add(".internal", fitness.OK, "", "%d %% of conversations are between internal addresses", share(s.internal, s.flows))
	}
	if n := share(s.oneWay, s.flows); n >= 30 && s.flows >= 20 {
		add(".one_way", fitness.Warn, "mirror both directions, and both legs of asymmetric routes", "of %d %% of conversations one direction is seen only", n)
	} else {
		add(".one_way", fitness.OK, "", "of %d %% of conversations one direction is seen only", n)
	}
	if n := share(t.Duplicates, t.Packets); n >= 10 {
		add(".duplicates", fitness.Warn, "mirror each packet once: one direction of each port, or one VLAN's ingress", "%d %% of packets come twice; they are told and left out, but cost capture", n)
	} else {
		add(".duplicates", fitness.OK, "", "%d %% of packets come twice", n)
	}
	return items
}
