package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"neuromast/detectors/catalog"
	"neuromast/flows"
	"neuromast/sensor/capture"
	"neuromast/sensor/config"
	"neuromast/sensor/packet"
)

// replaySeed seeds the flow tables of a replay. Nothing may depend on it; it is fixed so that a defect repeats.
const replaySeed = 0x6e6575726f6d6173

// replayOptions is the command line of replay.
type replayOptions struct {
	quiet    bool
	separate bool
	format   string
	out      string
	config   string
	bpf      string
	workers  int
	only     []string
	disable  []string
	set      []string
}

func replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay [flags] FILE|DIR|- …",
		Short: "Analyse captures: incidents and findings as a table, or all records as files",
		Long: `Reads captures (pcap, pcapng, gzip, zstd, a directory of them, - for standard input) as one timeline and says what
happened. Without --out, incidents and findings go to the terminal as a table, or as JSON lines where standard output is no terminal.
With --out DIR it writes findings.jsonl, incidents.jsonl, flows.jsonl, dns.jsonl, summary.json and report.html there.

A capture that is cut off or damaged is read as far as it goes, which is said. Exit status: 0 analysed, 1 a file could
not be read as a capture or output failed, 2 wrong usage or configuration.`,
		Example: `  neuromast replay capture.pcap
  neuromast replay --out result --workers 2 day1.pcapng.zst day2.pcapng.zst
  neuromast replay --only dns.info --set detectors.dns.info.minutes=1000 capture.pcap
  neuromast replay --bpf 'host 10.0.0.5 and not port 443' capture.pcap
  zcat capture.pcap.gz | neuromast replay -`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return replay(cmd.Context(), o, paths, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.quiet, "quiet", false, "no progress bar and no notes, only results and errors")
	f.BoolVar(&o.separate, "separate", false, "analyse each input alone; with --out each in a folder of its own")
	f.StringVar(&o.format, "format", "ecs", "format of the records: ecs")
	f.StringVar(&o.out, "out", "", "`directory` to write results into; made where missing")
	f.StringVar(&o.config, "config", "", "configuration `file`; neuromast config lists the keys")
	f.StringVar(&o.bpf, "bpf", "", "analyse only what this tcpdump `filter` takes")
	f.IntVar(&o.workers, "workers", min(runtime.NumCPU(), 16), "worker goroutines; results don't depend on it")
	f.StringSliceVar(&o.only, "only", nil, "run only these `rules` (neuromast detectors lists them)")
	f.StringSliceVar(&o.disable, "disable", nil, "don't run these `rules`")
	f.StringArrayVar(&o.set, "set", nil, "set a configuration key: `key=value`; may be repeated")
	rules := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return catalog.RuleIDs(), cobra.ShellCompDirectiveNoFileComp
	}
	for _, name := range []string{"only", "disable"} {
		if err := cmd.RegisterFlagCompletionFunc(name, rules); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// replay analyses the inputs as one timeline, or each alone.
func replay(ctx context.Context, o replayOptions, paths []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if o.format != "ecs" {
		return usageError{fmt.Errorf("--format %s: only ecs is written", o.format)}
	}
	if o.workers < 1 || o.workers > flows.NumShards {
		return usageError{fmt.Errorf("--workers %d: must lie between 1 and %d", o.workers, flows.NumShards)}
	}
	cfg, err := config.Load(o.config, os.Environ(), o.set)
	if err != nil {
		return usageError{err}
	}
	if _, err := catalog.Build(cfg.Detectors, o.only, o.disable); err != nil {
		return usageError{err}
	}
	if !o.separate {
		return replayOne(ctx, o, cfg, paths, o.out, stdin, stdout, stderr)
	}
	for _, p := range paths {
		out := o.out
		if out != "" {
			out = filepath.Join(out, strings.ReplaceAll(strings.Trim(filepath.ToSlash(p), "/."), "/", "_"))
		} else if len(paths) > 1 {
			fmt.Fprintf(stdout, "== %s\n", p)
		}
		if err := replayOne(ctx, o, cfg, []string{p}, out, stdin, stdout, stderr); err != nil {
			return err
		}
	}
	return nil
}

// replayOne analyses one timeline from start to end.
func replayOne(ctx context.Context, o replayOptions, cfg config.Config, paths []string, out string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	started := time.Now()
	inputs, err := capture.Open(paths, stdin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inputs.Close()) }()
	src, err := filter(inputs, o.bpf)
	if err != nil {
		return usageError{err}
	}

	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level(o.quiet)}))
	s, err := newSession(ctx, plan{
		sources: []capture.Source{src}, workers: o.workers, seed: replaySeed, only: o.only, disable: o.disable,
		quiet: o.quiet, out: out, logger: logger,
	}, cfg)
	if err != nil {
		return err
	}
	var bar *progress
	if width, ok := terminal(stderr); ok && !o.quiet {
		bar = startProgress(stderr, width, func() (int64, int64, uint64, packet.Time) {
			read, total := src.Progress()
			packets, at := s.pipeline.Progress()
			return read, total, packets, at
		})
	}
	totals, err := s.pipeline.Run(ctx)
	bar.Stop()
	if err != nil {
		return errors.Join(err, s.abandon())
	}
	return s.finish(ctx, totals, time.Since(started), stdout, stderr)
}

func level(quiet bool) slog.Level {
	if quiet {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// terminal says whether w is one, and how wide.
func terminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	return cmp.Or(width, 80), true
}
