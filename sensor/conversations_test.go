package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// talk is what one conversation carried, over all of its flows.
type talk struct {
	packets, bytes int
	first          string // who sent its first SYN, as address and port
}

// TestConversationsAgainstTshark holds packets, IP bytes and originators of TCP and UDP conversations against tshark's
// reading of the same captures: a second implementation, packet by packet. It needs captures and tshark, and takes a
// minute for a few hundred captures: make test-tshark.
//
// What is defined differently is left out by rule, not by name: conversations with fragments (tshark gives a joined packet
// to its last fragment), frames in which tshark sees another IP packet quoted by ICMP, frames that it calls malformed or
// cut, and captures in which we told copies apart that a mirror made.
func TestConversationsAgainstTshark(t *testing.T) {
	root := os.Getenv("NEUROMAST_CAPTURES")
	if root == "" || os.Getenv("NEUROMAST_TSHARK") == "" {
		t.Skip("`make test-tshark` runs this, with NEUROMAST_CAPTURES naming a folder of captures")
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.Contains(path, ".pcap") || strings.HasSuffix(path, ".cap")) && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	captures, compared, agreed, leftOut := 0, 0, 0, 0
	for _, path := range paths {
		dir := t.TempDir()
		if _, _, err := run(t, "replay", "--quiet", "--set", "flows.whole=0", "--out", dir, path); err != nil {
			continue
		}
		if get(readJSON(t, filepath.Join(dir, "summary.json")), "packets.duplicates").(float64) > 0 {
			leftOut++
			continue
		}
		theirs, odd := tsharkTalks(t, path)
		ours := ourTalks(t, filepath.Join(dir, "flows.jsonl"))
		captures++
		for key, want := range theirs {
			if odd[key] {
				leftOut++
				continue
			}
			compared++
			got := ours[key]
			if got == nil {
				t.Errorf("%s: %s: tshark counts %d packets, we have none", filepath.Base(path), key, want.packets)
				continue
			}
			if got.packets != want.packets || got.bytes != want.bytes || want.first != "" && got.first != want.first {
				t.Errorf("%s: %s: %+v, tshark %+v", filepath.Base(path), key, *got, *want)
				continue
			}
			agreed++
		}
		for key, got := range ours {
			if theirs[key] == nil && !odd[key] && !odd["*"] {
				t.Errorf("%s: %s: we count %d packets, tshark none", filepath.Base(path), key, got.packets)
			}
		}
	}
	t.Logf("%d captures, %d conversations compared, %d agree; %d conversations or captures left out by rule", captures, compared, agreed, leftOut)
}

// talkKey names a conversation in either direction.
func talkKey(proto, a, b string) string { return proto + " " + min(a, b) + " " + max(a, b) }

func ourTalks(t *testing.T, path string) map[string]*talk {
	t.Helper()
	out := map[string]*talk{}
	for _, r := range lines(t, path) {
		proto, _ := get(r, "network.transport").(string)
		if get(r, "neuromast.final") != true || proto != "tcp" && proto != "udp" {
			continue
		}
		from := fmt.Sprint(get(r, "source.ip"), "|", get(r, "source.port"))
		to := fmt.Sprint(get(r, "destination.ip"), "|", get(r, "destination.port"))
		k := talkKey(proto, from, to)
		x := out[k]
		if x == nil {
			x = &talk{first: from}
			out[k] = x
		}
		x.packets += int(get(r, "network.packets").(float64))
		x.bytes += int(get(r, "network.bytes").(float64))
	}
	return out
}

// tsharkTalks counts by tshark's innermost layers; odd are conversations that are defined differently, "*" if all may be.
func tsharkTalks(t *testing.T, path string) (talks map[string]*talk, odd map[string]bool) {
	t.Helper()
	talks, odd = map[string]*talk{}, map[string]bool{}
	fields := []string{"frame.protocols", "ip.src", "ip.dst", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.plen", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
		"tcp.flags", "ip.flags.mf", "ip.frag_offset", "frame.len", "frame.cap_len"}
	args := []string{"-r", path, "-n", "-T", "fields", "-E", "occurrence=l", "-E", "separator=/t", "-o", "tcp.desegment_tcp_streams:FALSE", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		odd["*"] = true // it gives up on what is cut
	}
	for line := range strings.Lines(string(text)) {
		v := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(v) != len(fields) {
			continue
		}
		layers := strings.Split(v[0], ":")
		transport := max(slices.Index(layers, "tcp"), slices.Index(layers, "udp"))
		for i, l := range layers {
			if l == "tcp" || l == "udp" {
				transport = i
			}
		}
		if transport < 1 || slices.Contains(layers, "icmp") || slices.Contains(layers, "icmpv6") {
			if strings.Contains(v[0], "ip:data") || strings.Contains(v[0], "ipv6.fraghdr") { // a later fragment: of whom is not said
				odd["*"] = true
			}
			continue
		}
		if slices.Contains(layers[transport:], "ip") || slices.Contains(layers[transport:], "ipv6") {
			continue // a tunnel's packet without ports
		}
		isUDP := layers[transport] == "udp"
		from, to, proto := v[7], v[8], "tcp"
		if isUDP {
			from, to, proto = v[9], v[10], "udp"
		}
		src, dst, length := v[1], v[2], 0
		v6 := false
		for _, l := range layers[:transport] {
			switch l {
			case "ip":
				v6 = false
			case "ipv6":
				v6 = true
			}
		}
		if v6 {
			src, dst = v[4], v[5]
			length, _ = strconv.Atoi(v[6])
			length += 40
		} else {
			length, _ = strconv.Atoi(v[3])
		}
		a, b := src+"|"+from, dst+"|"+to
		k := talkKey(proto, a, b)
		if v[12] == "1" || v[12] == "True" || v[13] != "0" && v[13] != "" || strings.Contains(v[0], "ipv6.fraghdr") || v[14] != v[15] || length <= 40 && v6 {
			odd[k], odd["*"] = true, true
		}
		x := talks[k]
		if x == nil {
			x = &talk{}
			talks[k] = x
		}
		x.packets++
		x.bytes += length
		if flags, err := strconv.ParseUint(strings.TrimPrefix(v[11], "0x"), 16, 32); err == nil && !isUDP && flags&0x12 == 2 && x.first == "" {
			x.first = a
		}
	}
	return talks, odd
}
