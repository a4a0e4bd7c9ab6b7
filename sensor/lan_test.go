package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// lan collects what is read of DHCP, by frame, and how many ARP requests and replies facts and losses add up to.
type lan struct {
	dhcp map[uint64]string
	arp  [2]uint64
	lost uint64
}

// Feed implements pipeline.Analyst.
func (s *lan) Feed(m *flows.Merged) {
	for i := range m.Order {
		it := &m.Order[i]
		b := m.Batches[it.Batch]
		switch it.Kind {
		case flows.KindDHCP:
			d := &b.DHCP[it.Index]
			s.dhcp[d.Ref.Frame] = fmt.Sprintf("kind %d client %s yours %s relay %s hardware %s router %s resolver %s requested %s lease %d name %q vendor %q",
				d.Kind, address4(d.Client), address4(d.Yours), address4(d.Relay), d.Hardware, address4(d.Router), address4(d.Resolver), address4(d.Requested), d.Lease,
				b.String(d.HostName), b.String(d.Vendor))
		case flows.KindARP:
			a := &b.ARP[it.Index]
			if a.Reply {
				s.arp[1] += uint64(a.Count)
			} else {
				s.arp[0] += uint64(a.Count)
			}
		}
	}
	for _, b := range m.Batches {
		s.lost += b.Lost[flows.LostARP]
	}
}

// Finish implements pipeline.Analyst, Record pipeline.Recorder.
func (s *lan) Finish()                    {}
func (s *lan) Record(*flows.Merged) error { return nil }

func address4(a packet.Addr) string {
	if a == (packet.Addr{}) {
		return ""
	}
	return a.String()
}

// TestTsharkLAN holds each DHCP message that the capture has whole against tshark's reading, and the number of ARP requests and
// replies for IPv4 over Ethernet. Copies that a mirror made are one message here, so a capture may have fewer, by its duplicates.
func TestTsharkLAN(t *testing.T) {
	var messages, arps, captures uint64
	for _, path := range tsharkCaptures(t, "arp", "dhcp") {
		theirs := tsharkLAN(t, path)
		if len(theirs.dhcp) == 0 && theirs.arp == [2]uint64{} {
			continue
		}
		captures++
		ours := lan{dhcp: map[uint64]string{}}
		totals := readCapture(t, path, &ours)
		copies := totals.Table.Duplicates
		for frame, want := range theirs.dhcp {
			messages++
			if got := ours.dhcp[frame]; got == "" && copies > 0 {
				copies--
			} else if got != want {
				t.Errorf("%s, frame %d:\n%s, tshark says\n%s", filepath.Base(path), frame, got, want)
			}
		}
		arps += theirs.arp[0] + theirs.arp[1]
		if ours.arp[0] > theirs.arp[0] || ours.arp[1] > theirs.arp[1] ||
			ours.arp[0]+ours.arp[1]+ours.lost+copies < theirs.arp[0]+theirs.arp[1] {
			t.Errorf("%s: %d requests and %d replies, %d lost, %d copies; tshark counts %d and %d", filepath.Base(path), ours.arp[0], ours.arp[1], ours.lost, copies,
				theirs.arp[0], theirs.arp[1])
		}
	}
	t.Logf("%d DHCP messages and %d ARP messages of %d captures compared", messages, arps, captures)
}

// tsharkLAN reads what tshark says.
func tsharkLAN(t *testing.T, path string) lan {
	t.Helper()
	fields := []string{
		"frame.number", "arp.opcode", "dhcp.option.dhcp", "dhcp.ip.client", "dhcp.ip.your", "dhcp.ip.relay", "dhcp.hw.mac_addr", "dhcp.option.router",
		"dhcp.option.domain_name_server", "dhcp.option.requested_ip_address", "dhcp.option.ip_address_lease_time", "dhcp.option.hostname", "dhcp.fqdn.name",
		"dhcp.option.vendor_class_id",
	}
	args := []string{"-r", path, "-Y", "(dhcp && frame.cap_len == frame.len && !_ws.malformed && !icmp) || (arp && arp.hw.size == 6 && arp.proto.size == 4 && arp.opcode in {1, 2})", "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	all := lan{dhcp: map[uint64]string{}}
	if err != nil && len(out) == 0 {
		return all // cut files end with an error
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		frame, err := strconv.ParseUint(f[0], 10, 64)
		if err != nil || len(f) != len(fields) {
			t.Fatalf("%s: %q", path, line)
		}
		switch f[1] {
		case "1", "2":
			all.arp[f[1][0]-'1']++
			continue
		}
		for _, i := range []int{3, 4, 5} {
			if f[i] == "0.0.0.0" {
				f[i] = ""
			}
		}
		kind, _ := strconv.Atoi(f[2])
		lease, _ := strconv.ParseUint(f[10], 0, 32)
		name := f[11]
		if name == "" {
			name, _, _ = strings.Cut(f[12], ".")
		}
		all.dhcp[frame] = fmt.Sprintf("kind %d client %s yours %s relay %s hardware %s router %s resolver %s requested %s lease %d name %q vendor %q",
			kind, f[3], f[4], f[5], strings.ToUpper(strings.ReplaceAll(f[6], ":", "-")), f[7], f[8], f[9], lease, name, f[13])
	}
	return all
}
