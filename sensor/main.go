// Command neuromast is a network sensor that spots lateral movement and slow exfiltration from packets and publishes
// explained findings.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "unknown"

// The exit codes of the contract.
const (
	exitFailed = 1 // a file could not be read as a capture, or output failed
	exitUsage  = 2 // wrong usage or configuration
)

// usageError marks errors that are the caller's: wrong flags, wrong configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "neuromast: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "neuromast",
		Short: "Spot lateral movement and slow exfiltration in network packets",
		Long: `Neuromast reads packets, follows every conversation, and says what an intruder did: who reached whom, how, how sure it
is, which packets prove it, and what to do next.

Start with a capture:

  neuromast replay capture.pcap                   incidents and findings as a table
  neuromast replay --out result capture.pcap      these, flows, DNS, summary and an HTML report as files
  neuromast graph --out site.svg capture.pcap     who talks to whom, as a picture
  neuromast detectors                             what it looks for, and how each judgement is made`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	cmd.AddCommand(replayCommand(), runCommand(), checkCommand(), graphCommand(), detectorsCommand(), configCommand(), schemaCommand())
	return cmd
}

// args wraps an argument check so that its errors count as wrong usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return usageError{fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())}
		}
		return nil
	}
}
