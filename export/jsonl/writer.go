// Package jsonl writes records as lines of JSON into a directory: findings.jsonl, incidents.jsonl, flows.jsonl and
// dns.jsonl.
//
// While the analysis runs the files bear the suffix .partial; Close puts them on the disk and takes it off. So a crash
// leaves no file that looks complete, and a file without the suffix is whole. Results of an earlier run in the same
// directory are removed at the start, lest old and new ones be read together.
package jsonl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"neuromast/export"
)

// Partial is what a file's name ends in until it is whole.
const Partial = ".partial"

// bufferBytes per file: chosen by us so that a write is worth its system call.
const bufferBytes = 256 << 10

// Name returns the file of a topic, empty where it has none: health is told by the live sensor only.
func Name(t export.Topic) string {
	switch t {
	case export.Findings, export.Incidents, export.Flows, export.DNS:
		return t.String() + ".jsonl"
	}
	return ""
}

// Writer writes one directory. Lines of one topic come from one goroutine; topics share nothing.
type Writer struct {
	files [export.NumTopics]*file // nil where the topic has no file
}

type file struct {
	path  string // without Partial
	f     *os.File
	buf   *bufio.Writer
	lines uint64
	err   error // the first one; nothing is written after it
}

// Create makes the directory where it is missing and opens its files. beside names what others will write there at the
// end (summary.json): an earlier run's is removed too.
func Create(dir string, beside ...string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("output directory: %w", err)
	}
	for _, name := range beside {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("earlier output is in the way: %w", err)
		}
	}
	w := &Writer{}
	for t := range export.NumTopics {
		name := Name(t)
		if name == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.Abort()
			return nil, fmt.Errorf("earlier output is in the way: %w", err)
		}
		f, err := os.Create(path + Partial)
		if err != nil {
			w.Abort()
			return nil, fmt.Errorf("output file: %w", err)
		}
		w.files[t] = &file{path: path, f: f, buf: bufio.NewWriterSize(f, bufferBytes)}
	}
	return w, nil
}

// Line writes one document, which must not hold a newline; doc is the caller's again afterwards. After a failure every
// further line of that topic fails alike.
func (w *Writer) Line(t export.Topic, doc []byte) error {
	if t >= export.NumTopics || w.files[t] == nil {
		return fmt.Errorf("no file takes topic %d", t)
	}
	f := w.files[t]
	if f.err != nil {
		return f.err
	}
	if _, err := f.buf.Write(doc); err != nil {
		return f.fail(err)
	}
	if err := f.buf.WriteByte('\n'); err != nil {
		return f.fail(err)
	}
	f.lines++
	return nil
}

// Lines returns how many lines a topic has got.
func (w *Writer) Lines(t export.Topic) uint64 {
	if t >= export.NumTopics || w.files[t] == nil {
		return 0
	}
	return w.files[t].lines
}

// Put writes a record's value: Writer is an export.Sink.
func (w *Writer) Put(_ context.Context, r export.Record) error { return w.Line(r.Topic, r.Value) }

// Close makes every file whole and takes its suffix off. Where one fails none is renamed, since together they are one
// result; the error names each that failed.
func (w *Writer) Close(context.Context) error {
	var errs []error
	for _, f := range w.files {
		if f != nil {
			errs = append(errs, f.finish())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, f := range w.files {
		if f == nil {
			continue
		}
		if err := os.Rename(f.path+Partial, f.path); err != nil {
			return fmt.Errorf("output file: %w", err)
		}
	}
	return nil
}

// Abort writes out what is buffered and leaves the files partial, for a run that failed or was cut off.
func (w *Writer) Abort() error {
	var errs []error
	for _, f := range w.files {
		if f != nil {
			errs = append(errs, f.finish())
		}
	}
	return errors.Join(errs...)
}

// finish brings the file to the disk and closes it.
func (f *file) finish() error {
	if f.err == nil {
		if err := f.buf.Flush(); err != nil {
			f.fail(err)
		}
	}
	if f.err == nil {
		if err := f.f.Sync(); err != nil {
			f.fail(err)
		}
	}
	if err := f.f.Close(); err != nil && f.err == nil {
		f.fail(err)
	}
	return f.err
}

// fail remembers the first error; the operating system's text names the file.
func (f *file) fail(err error) error {
	f.err = fmt.Errorf("output after line %d: %w", f.lines, err)
	return f.err
}
