package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"neuromast/export/kafka"
	"neuromast/sensor/config"
)

// errUnfit is the failure of a check that found something to mend; what it is was printed.
var errUnfit = errors.New("check: not fit; see the lines marked fail")

func checkCommand() *cobra.Command {
	var path string
	var set []string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether this configuration is fit to publish: each item ok, warn or fail, and what mends it",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, os.Environ(), set)
			if err != nil {
				return usageError{err}
			}
			out := cmd.OutOrStdout()
			fmt.Fprintln(out, "ok    configuration: every key is known and valid")
			if len(cfg.Export.Kafka.Brokers) == 0 {
				fmt.Fprintln(out, "warn  export.kafka.brokers: is empty, so nothing is published to Kafka")
				return nil
			}
			fit := true
			for _, item := range kafka.Check(cmd.Context(), cfg.Export.Kafka) {
				fmt.Fprintf(out, "%-5s %s: %s\n", item.Level, item.Name, item.Text)
				fit = fit && item.Level != kafka.Fail
			}
			if !fit {
				return errUnfit
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "configuration `file`")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a configuration key: `key=value`; may be repeated")
	return cmd
}
