package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"neuromast/flows"
)

// facts hands every item of a capture to a function.
type facts func(b *flows.Batch, kind flows.Kind, index uint32)

// Feed implements pipeline.Analyst.
func (f facts) Feed(m *flows.Merged) {
	for i := range m.Order {
		it := &m.Order[i]
		f(m.Batches[it.Batch], it.Kind, it.Index)
	}
}

// Finish implements pipeline.Analyst, Record pipeline.Recorder.
func (f facts) Finish()                    {}
func (f facts) Record(*flows.Merged) error { return nil }

// leaves cuts a filter into its assertions: tshark writes (&(a)(b)(c)) as (&(&(a)(b))(c)) and (&(a)) as (a).
func leaves(filter string) string {
	var out []string
	for _, part := range strings.FieldsFunc(filter, func(r rune) bool { return r == '(' || r == ')' }) {
		if part = strings.Trim(part, "&|"); part != "" {
			out = append(out, part)
		}
	}
	return strings.Join(out, " ")
}

// searches are answered searches by the frame of their request.
type searches map[string][]string

// TestTsharkLDAP holds searches whose request and result both were seen, bare or signed, against tshark's reading: base, scope,
// filter, result and number of entries. Frames with several requests are left out, since tshark doesn't say whose filter is whose.
func TestTsharkLDAP(t *testing.T) {
	compared, captures := 0, 0
	for _, path := range tsharkCaptures(t, "ldap") {
		theirs := tsharkSearches(t, path)
		if len(theirs) == 0 {
			continue
		}
		captures++
		ours := searches{}
		readCapture(t, path, facts(func(b *flows.Batch, kind flows.Kind, index uint32) {
			if kind != flows.KindLDAP {
				return
			}
			if l := &b.LDAP[index]; l.Op == flows.LDAPSearch && l.Outcome != flows.Unseen && l.RequestRef.Frame != 0 {
				k := fmt.Sprint(l.RequestRef.Frame)
				ours[k] = append(ours[k], fmt.Sprintf("%q scope %d %s: code %d, %d entries", b.String(l.Base), l.Scope, leaves(b.String(l.Filter)), l.Code, l.Entries))
			}
		}))
		for frame, want := range theirs {
			compared += len(want)
			got := ours[frame]
			if !slices.Equal(got, want) {
				t.Errorf("%s, frame %s: %q, tshark says %q", filepath.Base(path), frame, got, want)
			}
		}
	}
	t.Logf("%d searches of %d captures compared", compared, captures)
}

// tsharkSearches reads what tshark says.
func tsharkSearches(t *testing.T, path string) searches {
	t.Helper()
	rows := tsharkFields(t, path, "ldap && tcp && !_ws.malformed", []string{"frame.number", "tcp.stream", "ldap.messageID", "ldap.protocolOp",
		"ldap.baseObject", "ldap.scope", "text", "ldap.resultCode"}, "-d", "tcp.port==1389,ldap")
	type request struct {
		frame, base, scope, filter string
		entries                    int
		several                    bool
	}
	open := map[string]*request{}
	all := searches{}
	for _, r := range rows {
		ids, ops, results, bases := r[2], r[3], r[7], r[4]
		several, asked := 0, 0
		for _, op := range ops {
			if op == "3" {
				several++
			}
		}
		for i, op := range ops {
			if i >= len(ids) {
				break
			}
			key := r[1][0] + "/" + ids[i]
			switch op {
			case "3":
				q := &request{frame: r[0][0], several: several > 1}
				if asked < len(bases) {
					q.base = bases[asked]
				}
				if asked < len(r[5]) {
					q.scope = r[5][asked]
				}
				for _, text := range r[6] {
					if f, ok := strings.CutPrefix(text, "Filter: "); ok {
						q.filter = f
						break
					}
				}
				asked++
				open[key] = q
			case "4":
				if q := open[key]; q != nil {
					q.entries++
				}
			case "1", "5", "7", "9", "11", "13", "15", "24":
				code := ""
				if len(results) > 0 {
					code, results = results[0], results[1:]
				}
				if q := open[key]; q != nil && op == "5" {
					if !q.several {
						all[q.frame] = append(all[q.frame], fmt.Sprintf("%q scope %s %s: code %s, %d entries", q.base[:min(len(q.base), 256)], q.scope, leaves(q.filter), code, q.entries))
					}
					delete(open, key)
				}
			}
		}
	}
	return all
}
