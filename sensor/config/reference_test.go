package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "rewrite generated references")

const (
	referencePath = "../../deploy/CONFIG.md"
	examplePath   = "../../deploy/sensor.yaml"
)

// TestReferenceIsFresh holds deploy/CONFIG.md and deploy/sensor.yaml to the fields and their comments.
func TestReferenceIsFresh(t *testing.T) {
	entries := reference(t)
	for path, want := range map[string][]byte{referencePath: markdown(entries), examplePath: example(entries)} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale (%v): run `make docs`", path, err)
		}
	}
}

// TestExampleLoads holds that the shipped example is a valid configuration, once its comments are taken off.
func TestExampleLoads(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sensor.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range c.Keys() {
		want := Default()
		got, _ := c.find(key)
		def, _ := want.find(key)
		if value(t, got) != value(t, def) {
			t.Errorf("%s: the example has %s, the default is %s", key, value(t, got), value(t, def))
		}
	}
}

// entry is one key.
type entry struct {
	key, value, text string
	section          bool
	depth            int
}

// reference lists the tree in the order of its fields.
func reference(t *testing.T) []entry {
	comments := map[string]map[string]string{} // type -> field -> comment
	var out []entry
	var walk func(v reflect.Value, path string, depth int)
	walk = func(v reflect.Value, path string, depth int) {
		typ := v.Type()
		name := typ.PkgPath() + "." + typ.Name()
		if comments[name] == nil {
			comments[name] = fieldComments(t, typ)
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if tag == "-" || !f.IsExported() {
				continue
			}
			if strings.Contains(opts, "inline") {
				walk(v.Field(i), path, depth)
				continue
			}
			e := entry{key: strings.TrimPrefix(path+"."+tag, "."), text: comments[name][f.Name], depth: depth}
			if e.text == "" {
				t.Errorf("%s: field %s of %s has no comment", e.key, f.Name, name)
			}
			if v.Field(i).Kind() == reflect.Struct {
				e.section = true
				out = append(out, e)
				walk(v.Field(i), e.key, depth+1)
				continue
			}
			e.value = value(t, v.Field(i))
			out = append(out, e)
		}
	}
	c := Default()
	walk(reflect.ValueOf(c), "", 0)
	return out
}

// value is a default as YAML on one line.
func value(t *testing.T, v reflect.Value) string {
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return "[]"
	}
	b, err := yaml.MarshalWithOptions(v.Interface(), yaml.Flow(true))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// fieldComments reads the comments of a struct's fields from its package's source.
func fieldComments(t *testing.T, typ reflect.Type) map[string]string {
	dir := filepath.Join("..", "..", strings.TrimPrefix(typ.PkgPath(), "neuromast"))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source for %v in %s", typ, dir)
	}
	out := map[string]string{}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != typ.Name() {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					text := strings.TrimSpace(field.Comment.Text() + " " + field.Doc.Text())
					for _, name := range field.Names {
						out[name.Name] = strings.Join(strings.Fields(text), " ")
					}
				}
			}
			return false
		})
	}
	return out
}

func markdown(entries []entry) []byte {
	var b bytes.Buffer
	b.WriteString(`# Configuration

Every key, its default and its meaning. The file is YAML; unknown keys are errors. A key can be set on the command line,
` + "`--set key=value`" + `, and by the environment: ` + "`NEUROMAST_`" + ` and the key in capitals with underscores for dots. This page is
generated from the source by ` + "`make docs`" + `; deploy/sensor.yaml holds the same as a file to start from.

| key | default | meaning |
|---|---|---|
`)
	for _, e := range entries {
		if e.section {
			fmt.Fprintf(&b, "| **%s** | | %s |\n", e.key, e.text)
		} else {
			fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", e.key, e.value, strings.ReplaceAll(e.text, "|", `\|`))
		}
	}
	return b.Bytes()
}

func example(entries []entry) []byte {
	var b bytes.Buffer
	b.WriteString("# Every key with its default; generated from the source by `make docs`. Delete what you don't change.\n")
	for _, e := range entries {
		indent := strings.Repeat("  ", e.depth)
		name := e.key
		if rest, ok := strings.CutPrefix(e.key, "detectors."); ok && e.depth == 1 {
			name = rest // rule ids hold a dot
		} else if e.depth > 0 {
			name = e.key[strings.LastIndexByte(e.key, '.')+1:]
		}
		if e.section {
			fmt.Fprintf(&b, "%s%s:  # %s\n", indent, name, e.text)
		} else {
			fmt.Fprintf(&b, "%s%s: %s  # %s\n", indent, name, e.value, e.text)
		}
	}
	return b.Bytes()
}
