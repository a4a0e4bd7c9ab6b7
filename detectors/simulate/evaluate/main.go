// Command evaluate plays simulated enterprises (package simulate) into all detectors and prints what they found of the
// intrusions, and of honest work. `make evaluate` writes its page to detectors/EVALUATION.md.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"neuromast/detectors/catalog"
	"neuromast/detectors/simulate"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "evaluate:", err)
		os.Exit(1)
	}
}

// run plays one site several times, each with a seed of its own.
func run(args []string, stdout io.Writer) (err error) {
	f := flag.NewFlagSet("evaluate", flag.ContinueOnError)
	hosts := f.Int("hosts", 1000, "hosts of the site")
	days := f.Int("days", 14, "days of packet time")
	learn := f.Int("learn", 7, "days before intrusions, whose false findings are told apart; rules of the graph weigh in full from seven on")
	seed := f.Uint64("seed", 1, "first seed; each play takes the next")
	plays := f.Int("plays", 1, "how often to play")
	intrusions := f.Int("intrusions", 8, "intrusions of each play; many share hosts, which none of them does in earnest")
	volume := f.Float64("volume", 1, "share of the daily bulk that is played")
	jobs := f.Int("jobs", min(2, runtime.NumCPU()), "plays at a time")
	large := f.Bool("large", false, "add one play of 10,000 hosts and 7 days with volume 0.3 and 40 intrusions")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *plays < 1 {
		return fmt.Errorf("-plays: %d, want at least 1", *plays)
	}
	play := func(c simulate.Config) (*simulate.Result, error) {
		dets, err := catalog.Build(catalog.Default(), nil, nil)
		if err != nil {
			return nil, err
		}
		started := time.Now()
		r, err := simulate.Play(c, dets)
		if err != nil {
			return nil, err
		}
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		fmt.Fprintf(os.Stderr, "%d hosts, %d days, seed %d: %d items in %v, %d MB\n", c.Hosts, c.Days, c.Seed, r.Items, time.Since(started).Round(time.Second), mem.Sys>>20)
		return r, nil
	}
	results, failed := make([]*simulate.Result, *plays), make([]error, *plays)
	var wait sync.WaitGroup
	slots := make(chan struct{}, max(1, *jobs))
	for i := range *plays {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i], failed[i] = play(simulate.Config{Hosts: *hosts, Days: *days, Learn: *learn, Seed: *seed + uint64(i), Intrusions: *intrusions, Volume: *volume})
		})
	}
	wait.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	all := results[0]
	for _, r := range results[1:] {
		all.Add(r)
	}
	w := bufio.NewWriter(stdout)
	fmt.Fprint(w, preface)
	if err := all.Markdown(w); err != nil {
		return err
	}
	if *large {
		r, err := play(simulate.Config{Hosts: 10000, Days: 7, Learn: 4, Seed: *seed + 100, Intrusions: 40, Volume: 0.3})
		if err != nil {
			return err
		}
		fmt.Fprint(w, "\n# A site of 10,000 hosts\n\n")
		if err := r.Markdown(w); err != nil {
			return err
		}
	}
	return w.Flush()
}

const preface = `# Evaluation

Written by ` + "`make evaluate`" + `: all detectors with their defaults on simulated weeks of an enterprise with intrusions placed at
random (package simulate says what is played, and what is not). No list of domain controllers, scanners or administrators is
configured: what is told here is what a sensor says that was just plugged in.

What this is good for: to see which rule is noisy on which honest work, and that no technique is lost. What it is not: a promise for
a real site. Nought false alarms means that nothing we thought of sets the rule off.

`
