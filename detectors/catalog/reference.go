package catalog

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io"
	"reflect"
	"slices"
	"strings"

	"neuromast/detectors/incident"
)

// Incidents names the correlation in the reference, and its section of the configuration.
const Incidents = "incidents"

// textWidth is the width of the reference's lines.
const textWidth = 100

// Reference prints what the detector of a rule or section says of itself: its rules, its specification, which is its package comment, and
// its configuration with defaults. An empty rule prints all, and at last how incidents are made of what the rules say;
// Incidents prints that alone.
func Reference(w io.Writer, rule string) error {
	if rule != "" && rule != Incidents {
		if err := checkNames(rule); err != nil {
			return err
		}
	}
	var b strings.Builder
	described := all()
	for i, e := range Default().entries() {
		d := described[i]
		if rule != "" && !slices.Contains(called(e.key, d), rule) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		for _, r := range d.Rules() {
			fmt.Fprintf(&b, "%s  %s\n    stage   %s\n", r.ID, r.Name, r.Stage)
			label := "ATT&CK"
			for _, t := range r.Techniques {
				fmt.Fprintf(&b, "    %-7s %s %s (%s)\n", label, t.ID, t.Name, t.Tactic)
				label = ""
			}
			fmt.Fprintf(&b, "    needs   %s\n", r.Sides)
		}
		b.WriteString("\n")
		text, err := readable(d.Doc())
		if err != nil {
			return fmt.Errorf("reference of %s: %w", e.key, err)
		}
		b.WriteString(text)
		b.WriteString("\nConfiguration\n\n")
		printValues(&b, "detectors."+e.key, e.section)
	}
	if rule == "" || rule == Incidents {
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "%s  What belongs together, told as one story\n\n", Incidents)
		text, err := readable(incident.Doc())
		if err != nil {
			return fmt.Errorf("reference of %s: %w", Incidents, err)
		}
		b.WriteString(text)
		b.WriteString("\nConfiguration\n\n")
		printValues(&b, Incidents, incident.Default())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printValues prints a section's keys with their defaults.
func printValues(b *strings.Builder, key string, section any) {
	v := reflect.ValueOf(section)
	for i := range v.NumField() {
		fmt.Fprintf(b, "    %s.%s = %v\n", key, v.Type().Field(i).Tag.Get("yaml"), v.Field(i))
	}
}

// readable renders the package comment of Go source as text: headings above, paragraphs and lists indented.
func readable(source string) (string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", source, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		return "", err
	}
	text := packageComment(file)
	if text == "" {
		return "", fmt.Errorf("there is no package comment")
	}
	var p comment.Parser
	var out strings.Builder
	print := comment.Printer{TextPrefix: "    ", TextWidth: textWidth - 4}
	for _, block := range p.Parse(text).Content {
		if h, ok := block.(*comment.Heading); ok {
			fmt.Fprintf(&out, "\n%s\n\n", plainText(h.Text))
			continue
		}
		if out.Len() > 0 && !strings.HasSuffix(out.String(), "\n\n") {
			out.WriteByte('\n')
		}
		out.Write(print.Text(&comment.Doc{Content: []comment.Block{block}}))
	}
	return out.String(), nil
}

func packageComment(f *ast.File) string {
	if f.Doc == nil {
		return ""
	}
	return f.Doc.Text()
}

func plainText(parts []comment.Text) string {
	var b strings.Builder
	for _, t := range parts {
		switch t := t.(type) {
		case comment.Plain:
			b.WriteString(string(t))
		case comment.Italic:
			b.WriteString(string(t))
		}
	}
	return b.String()
}
