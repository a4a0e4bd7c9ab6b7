package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"neuromast/flows"
)

// TestTsharkTDS holds batches, and log-ins with what came of them, against tshark's reading, on our own capture too: few others hold
// TDS in clear.
func TestTsharkTDS(t *testing.T) {
	compared, captures := 0, 0
	for _, path := range append(tsharkCaptures(t, "tds"), craftCapture(t, "database")) {
		rows := tsharkFields(t, path, "tds && !_ws.malformed", []string{"frame.number", "tcp.stream", "tds.query", "tds.7login.username", "tds.7login.clientname", "tds.error.number", "tds.loginack.progname"})
		theirs := map[string][]string{}
		user := map[string]string{} // by stream
		for _, r := range rows {
			frame, stream := r[0][0], r[1][0]
			for _, q := range r[2] {
				theirs[frame] = append(theirs[frame], "query "+q)
			}
			if len(r[3]) > 0 && len(r[4]) > 0 {
				user[stream] = r[3][0] + " from " + r[4][0]
			}
			if who := user[stream]; who != "" {
				switch {
				case slices.Contains(r[5], "18456"):
					theirs[frame] = append(theirs[frame], "failed "+who)
				case len(r[6]) > 0:
					theirs[frame] = append(theirs[frame], "succeeded "+who)
				}
			}
		}
		if len(theirs) == 0 {
			continue
		}
		captures++
		ours := map[string][]string{}
		readCapture(t, path, facts(func(b *flows.Batch, kind flows.Kind, index uint32) {
			switch kind {
			case flows.KindSQL:
				if s := &b.SQL[index]; !s.Call {
					k := fmt.Sprint(s.RequestRef.Frame)
					ours[k] = append(ours[k], "query "+b.String(s.Statement))
				}
			case flows.KindAuth:
				if a := &b.Auth[index]; a.Over == flows.AppTDS && a.Method == flows.AuthPassword && a.Outcome != flows.Unseen {
					k := fmt.Sprint(a.Ref.Frame)
					ours[k] = append(ours[k], fmt.Sprintf("%s %s from %s", map[flows.Outcome]string{flows.Failed: "failed", flows.Succeeded: "succeeded"}[a.Outcome], b.String(a.User), b.String(a.Workstation)))
				}
			}
		}))
		for frame, want := range theirs {
			compared += len(want)
			if got := ours[frame]; !slices.Equal(got, want) {
				t.Errorf("%s, frame %s: %q, tshark says %q", filepath.Base(path), frame, got, want)
			}
		}
	}
	t.Logf("%d batches and log-ins of %d captures compared", compared, captures)
}
