package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"neuromast/flows"
)

// openings collects how SSH and RDP connections open: what is said of each, by its hosts and ports.
type openings map[string][]string

func (o openings) add(conn, format string, args ...any) {
	o[conn] = append(o[conn], fmt.Sprintf(format, args...))
}

// Feed implements pipeline.Analyst.
func (o openings) Feed(m *flows.Merged) {
	for i := range m.Order {
		it := &m.Order[i]
		b := m.Batches[it.Batch]
		switch it.Kind {
		case flows.KindSSH:
			s := &b.SSH[it.Index]
			for d, h := range [2][16]byte{s.HASSH, s.HASSHServer} {
				if h != [16]byte{} {
					o.add(name(&s.Conn), "%s %x", [2]string{"client", "server"}[d], h)
				}
			}
		case flows.KindRDP:
			r := &b.RDP[it.Index]
			o.add(name(&r.Conn), "cookie %q", b.String(r.Cookie))
			switch r.Outcome {
			case flows.Succeeded:
				o.add(name(&r.Conn), "flags %d asked %d granted %d chose %d", r.Flags, r.Requested, r.Granted, r.Selected)
			case flows.Failed:
				o.add(name(&r.Conn), "refused %d", r.Failure)
			}
		}
	}
}

func name(c *flows.Conn) string {
	return fmt.Sprintf("%s:%d %s:%d", c.Orig, c.OrigPort, c.Resp, c.RespPort)
}

// Finish implements pipeline.Analyst, Record pipeline.Recorder.
func (o openings) Finish()                    {}
func (o openings) Record(*flows.Merged) error { return nil }

// TestTsharkSSH holds the fingerprints of SSH's lists of algorithms against tshark's.
func TestTsharkSSH(t *testing.T) {
	compareOpenings(t, "ssh.kex.hassh || ssh.kex.hasshserver", []string{"ssh.kex.hassh", "ssh.kex.hasshserver"}, func(o openings, from, to string, f []string) {
		if f[0] != "" {
			o.add(from+" "+to, "client %s", f[0])
		}
		if f[1] != "" {
			o.add(to+" "+from, "server %s", f[1])
		}
	})
}

// TestTsharkRDP holds cookies and negotiations of remote desktop connections against tshark's reading.
func TestTsharkRDP(t *testing.T) {
	fields := []string{"rdp.rt_cookie", "rdp.negReq.flags", "rdp.negReq.requestedProtocols", "rdp.negRsp.flags", "rdp.negReq.selectedProtocol", "rdp.negFailure.failureCode", "cotp.type"}
	asked := map[string]string{}
	compareOpenings(t, "cotp.type in {0xe, 0xd} && tcp.port == 3389", fields, func(o openings, from, to string, f []string) {
		number := func(i int) uint64 {
			n, _ := strconv.ParseUint(f[i], 0, 32)
			return n
		}
		switch kind, _ := strconv.ParseUint(f[6], 0, 8); {
		case kind == 0xe:
			o.add(from+" "+to, "cookie %q", strings.TrimPrefix(f[0], "Cookie: mstshash="))
			asked[from+to] = fmt.Sprintf("flags %d asked %d", number(1), number(2))
		case f[5] != "":
			o.add(to+" "+from, "refused %d", number(5))
		default:
			o.add(to+" "+from, "%s granted %d chose %d", asked[to+from], number(3), number(4))
		}
	})
}

// compareOpenings reads every capture twice; add enters what tshark says of a frame.
func compareOpenings(t *testing.T, filter string, fields []string, add func(o openings, from, to string, f []string)) {
	compared, captures := 0, 0 // addresses in tunnels: the innermost
	for _, path := range tsharkCaptures(t, "ssh", "rdp", "tpkt") {
		args := []string{"-r", path, "-Y", filter, "-T", "fields", "-E", "separator=|", "-E", "occurrence=l"}
		for _, f := range append([]string{"ip.src", "tcp.srcport", "ip.dst", "tcp.dstport"}, fields...) {
			args = append(args, "-e", f)
		}
		out, _ := exec.Command("tshark", args...).Output() // cut files end with an error
		theirs := openings{}
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
			add(theirs, f[0]+":"+f[1], f[2]+":"+f[3], f[4:])
		}
		if len(theirs) == 0 {
			continue
		}
		captures++
		ours := openings{}
		readCapture(t, path, ours)
		for conn, said := range theirs {
			compared += len(said)
			mine := ours[conn]
			for _, s := range said {
				if !slices.Contains(mine, s) {
					t.Errorf("%s, %s: %q, tshark says %q", filepath.Base(path), conn, mine, s)
				}
			}
		}
	}
	t.Logf("%d facts of %d captures compared", compared, captures)
}
