package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"neuromast/detectors/catalog"
	"neuromast/sensor/capture"
	"neuromast/sensor/capture/ring"
	"neuromast/sensor/config"
	"neuromast/sensor/pipeline"
	"neuromast/sensor/privilege"
	"neuromast/sensor/telemetry"
)

// runOptions is the command line of run.
type runOptions struct {
	config  string
	out     string
	bpf     string
	workers int
	only    []string
	disable []string
	set     []string
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Watch interfaces live and publish findings",
		Long: `Captures on the interfaces of capture.interfaces and publishes findings as they come: to Kafka where
export.kafka.brokers is set, else as JSON lines to standard output. ` + "`neuromast check`" + ` says beforehand whether machine and
configuration are fit.

Needs CAP_NET_RAW. Started as root it opens its sockets and then becomes privileges.user for good.

Signals: SIGTERM and SIGINT stop it in good order (flows are ended, findings closed, records acknowledged or kept on the
disk); a second one stops it at once. SIGHUP reads the configuration again.`,
		Example: `  neuromast run --config /etc/neuromast/sensor.yaml
  neuromast run --set capture.interfaces=eth1 --bpf 'not port 9092'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return watch(o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration `file`; neuromast config lists the keys")
	f.StringVar(&o.out, "out", "", "`directory` to write findings, incidents, flows, DNS and at the end a summary into; made where missing")
	f.StringVar(&o.bpf, "bpf", "", "capture only what this tcpdump `filter` takes, instead of capture.filter")
	f.IntVar(&o.workers, "workers", min(runtime.NumCPU(), 16), "worker goroutines")
	f.StringSliceVar(&o.only, "only", nil, "run only these `rules` (neuromast detectors lists them)")
	f.StringSliceVar(&o.disable, "disable", nil, "don't run these `rules`")
	f.StringArrayVar(&o.set, "set", nil, "set a configuration key: `key=value`; may be repeated")
	return cmd
}

// live is a sensor on its interfaces.
type live struct {
	options runOptions
	cfg     config.Config
	rings   []*ring.Ring
	session *session
	logger  *slog.Logger
	started time.Time
	maxFlow uint64 // flows that the table holds
	health  health
}

// watch captures until it is told to stop.
func watch(o runOptions, stdout, stderr io.Writer) (err error) {
	cfg, err := loadRun(o)
	if err != nil {
		return usageError{err}
	}
	l := &live{options: o, cfg: cfg, logger: slog.New(slog.NewTextHandler(stderr, nil)), started: time.Now(), maxFlow: uint64(cfg.Flows.Table.MaxFlows)}
	ctx, kill := context.WithCancelCause(context.Background())
	defer kill(nil)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	if err := l.open(); err != nil {
		return err
	}
	defer func() {
		for _, r := range l.rings {
			err = errors.Join(err, r.Close())
		}
	}()
	listener, err := l.listen()
	if err != nil {
		return err
	}
	if err := l.drop(); err != nil {
		return err
	}
	p := plan{live: true, workers: o.workers, seed: rand.Uint64(), only: o.only, disable: o.disable, out: o.out, logger: l.logger}
	for _, r := range l.rings {
		p.sources = append(p.sources, r)
	}
	if len(cfg.Export.Kafka.Brokers) == 0 && o.out == "" {
		p.lines = stdout
	}
	if l.session, err = newSession(ctx, p, cfg); err != nil {
		return err
	}
	if listener != nil {
		srv := &http.Server{Handler: telemetry.Handler(l.state), ReadHeaderTimeout: 5 * time.Second}
		go srv.Serve(listener) //nolint:errcheck // it ends with Close
		defer srv.Close()
	}
	type result struct {
		totals *pipeline.Totals
		err    error
	}
	done := make(chan result, 1)
	go func() {
		t, err := l.session.pipeline.Run(ctx)
		done <- result{t, err}
	}()
	l.say("start", fmt.Sprintf("capturing on %s with %d rules", l.names(), l.session.rules))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	stopping := false
	for {
		select {
		case r := <-done:
			if r.err != nil {
				return errors.Join(r.err, l.session.abandon())
			}
			l.say("stop", fmt.Sprintf("stopped after %d packets", r.totals.Packets))
			return l.session.finish(ctx, r.totals, time.Since(l.started), stdout, stderr)
		case <-tick.C:
			l.look(time.Now())
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
				l.reload(ctx)
			case stopping:
				kill(errors.New("stopped at once by a second signal"))
			default:
				stopping = true
				l.logger.Info("stopping: what was captured is analysed to its end", "signal", s.String())
				for _, r := range l.rings {
					r.Stop()
				}
			}
		}
	}
}

// loadRun reads the configuration of a live sensor.
func loadRun(o runOptions) (config.Config, error) {
	cfg, err := config.Load(o.config, os.Environ(), o.set)
	if err != nil {
		return cfg, err
	}
	if o.bpf != "" {
		cfg.Capture.Filter = o.bpf
	}
	if len(cfg.Capture.Interfaces) == 0 {
		return cfg, errors.New("capture.interfaces is empty: name the interface of the mirror port, as --set capture.interfaces=eth1")
	}
	if o.workers < 1 || o.workers > 64 {
		return cfg, fmt.Errorf("--workers %d: must lie between 1 and 64", o.workers)
	}
	_, err = catalog.Build(cfg.Detectors, o.only, o.disable)
	return cfg, err
}

// open opens the rings, on a thread that has the capability in effect.
func (l *live) open() error {
	filter, err := kernelFilter(l.cfg.Capture.Filter)
	if err != nil {
		return usageError{err}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	privilege.Raise()
	for _, name := range l.cfg.Capture.Interfaces {
		rings, err := ring.Open(l.cfg.Capture, name, filter, uint32(len(l.rings)))
		if err != nil {
			return errors.Join(err, l.closeRings())
		}
		l.rings = append(l.rings, rings...)
	}
	return nil
}

func (l *live) closeRings() (err error) {
	for _, r := range l.rings {
		err = errors.Join(err, r.Close())
	}
	l.rings = nil
	return err
}

// listen opens the telemetry listener, if one is configured.
func (l *live) listen() (net.Listener, error) {
	if l.cfg.Telemetry.Listen == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", l.cfg.Telemetry.Listen)
	if err != nil {
		return nil, fmt.Errorf("telemetry.listen: %w", err)
	}
	return ln, nil
}

// drop gives up what only opening needed.
func (l *live) drop() error {
	if !privilege.Root() {
		return privilege.Lower()
	}
	u, err := privilege.Lookup(l.cfg.Privileges.User)
	if err != nil {
		return usageError{err}
	}
	if len(l.cfg.Export.Kafka.Brokers) > 0 {
		if err := privilege.Own(l.cfg.Export.Spool.Dir, u); err != nil {
			return fmt.Errorf("export.spool.dir: %w", err)
		}
	}
	if l.options.out != "" {
		if err := privilege.Own(l.options.out, u); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	if err := privilege.Drop(u); err != nil {
		return err
	}
	l.logger.Info("privileges given up", "user", u.Name)
	if l.options.config != "" {
		if f, err := os.Open(l.options.config); err != nil {
			l.logger.Warn("SIGHUP will not work: the sensor's user can't read the configuration", "error", err)
		} else {
			f.Close()
		}
	}
	return nil
}

func (l *live) names() (text string) {
	for i, name := range l.cfg.Capture.Interfaces {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

var _ capture.Source = (*ring.Ring)(nil)
