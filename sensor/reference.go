package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"neuromast/deploy"
	"neuromast/detectors/catalog"
	"neuromast/export/schema"
)

func detectorsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "detectors [RULE …]",
		Short: "Print what each detector sees, its statistic, its defaults and what it is blind to",
		Example: `  neuromast detectors             all of them
  neuromast detectors scan.trw    one
  neuromast detectors incidents   how incidents are made of what the rules say`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return append(catalog.RuleIDs(), catalog.Incidents), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, rules []string) error {
			if len(rules) == 0 {
				rules = []string{""}
			}
			for _, r := range rules {
				if err := catalog.Reference(cmd.OutOrStdout(), r); err != nil {
					return usageError{err}
				}
			}
			return nil
		},
	}
}

func configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print every configuration key with its default and meaning",
		Long: `Every key of the configuration file, its default and what it means. A key can also be set by
--set key=value and by an environment variable: NEUROMAST_ and the key in capitals, dots as
underscores (NEUROMAST_EXPORT_KAFKA_BROKERS).`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), deploy.ConfigReference)
			return err
		},
	}
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [NAME]",
		Short: "Print the JSON Schema of a record: finding, incident, signal, flow, folded, dns or health",
		Args:  args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return schemaNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), strings.Join(schemaNames(), "\n"))
				return nil
			}
			text, err := fs.ReadFile(schema.Schemas(), names[0]+".schema.json")
			if os.IsNotExist(err) {
				return usageError{fmt.Errorf("no schema %q; there are %s", names[0], strings.Join(schemaNames(), ", "))}
			}
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func schemaNames() []string {
	entries, _ := fs.ReadDir(schema.Schemas(), ".")
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".schema.json"))
	}
	return names
}
