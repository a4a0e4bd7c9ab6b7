package storm

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
)

const (
	client = "10.0.0.5"
	other  = "10.0.0.6"
	server = "10.0.1.7"
	team   = `\\srv\team`
)

func sec(x float64) time.Duration { return time.Duration(x * float64(time.Second)) }

// pen writes what a client does on the share.
type pen struct {
	*script.Script
	who string
}

func (p pen) do(at float64, op flows.SMBOp, path, next string, x flows.SMB) {
	p.add(at, op, path, next, "", x)
}

func (p pen) add(at float64, op flows.SMBOp, path, next, head string, x flows.SMB) {
	p.SMB(sec(at), p.who, server, op, script.File{SMB: x, Share: team, Path: path, NewPath: next, Head: head, User: `LAB\eve`})
}

func (p pen) rename(at float64, from, to string) { p.do(at, flows.SMBRename, from, to, flows.SMB{}) }

func (p pen) create(at float64, path string) {
	p.do(at, flows.SMBOpen, path, "", flows.SMB{Created: true})
}

func (p pen) remove(at float64, path string) { p.do(at, flows.SMBDelete, path, "", flows.SMB{}) }

// read and write give the first fact and the last.
func (p pen) read(at float64, path string, n uint64, entropy uint16) {
	p.do(at, flows.SMBRead, path, "", flows.SMB{Bytes: min(n, 65536), Entropy: entropy, Sample: 64})
	p.do(at, flows.SMBRead, path, "", flows.SMB{Bytes: n, Entropy: entropy, Sample: 64, Final: true})
}

func (p pen) write(at float64, path, head string, n uint64, entropy uint16) {
	p.add(at, flows.SMBWrite, path, "", head, flows.SMB{Bytes: min(n, 65536), Entropy: entropy, Sample: 64})
	p.add(at, flows.SMBWrite, path, "", head, flows.SMB{Bytes: n, Entropy: entropy, Sample: 64, Final: true})
}

func doc1(i int) string { return fmt.Sprintf(`dir%d\report %d.docx`, i%12, i) }

// TestWeights holds weights against those worked out by hand.
func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(pen)
		nats float64
		says string
	}{
		{"30 renames, 24 of them append .locked", func(p pen) {
			for i := range 30 {
				to := doc1(i) + ".locked"
				if i%5 == 4 {
					to = fmt.Sprintf("old %d.docx", i)
				}
				p.rename(float64(i), doc1(i), to)
			}
		}, 6, `30 renames or copies with deletion in 60 s, of which 24 append extension "locked"`},
		{"40 renames to names of chance: 2", func(p pen) {
			for i := range 40 {
				p.rename(float64(i), doc1(i), fmt.Sprintf(`dir%d\%x.crypt`, i%12, 7919*i))
			}
		}, 2, `give extension "crypt"`},
		{"the same, after ten rewrites: 6", func(p pen) {
			for i := range 40 {
				if i < 12 {
					p.read(float64(i), doc1(i), 50000, 420)
					p.write(float64(i)+0.1, doc1(i), "", 50000, 578)
				}
				p.rename(float64(i)+0.2, doc1(i), fmt.Sprintf(`dir%d\%x.crypt`, i%12, 7919*i))
			}
		}, 6, `give extension "crypt"`},
		{"copies with an extension, originals deleted", func(p pen) {
			for i := range 30 {
				p.read(float64(i), doc1(i), 50000, 420)
				p.create(float64(i)+0.1, doc1(i)+".enc")
				p.write(float64(i)+0.2, doc1(i)+".enc", "", 50016, 576)
				p.remove(float64(i)+0.3, doc1(i))
			}
		}, 6, "30 renames or copies with deletion"},
		{"60 files rewritten in place", func(p pen) {
			for i := range 60 {
				p.read(float64(i)/2, doc1(i), 50000, 420)
				p.write(float64(i)/2+0.1, doc1(i), "", 50128, 576)
			}
		}, 6, "60 files in 60 s read and then written at the same size, 5.8 bits per byte after 4.2"},
		{"renames and a note in twelve directories: 6 + 0.3", func(p pen) {
			for i := range 36 {
				p.rename(float64(i), doc1(i), doc1(i)+".locked")
				if i < 12 {
					note := fmt.Sprintf(`dir%d\READ_ME.txt`, i)
					p.create(float64(i)+0.5, note)
					p.write(float64(i)+0.6, note, "Your files are e", 1800, 430)
				}
			}
		}, 6.3, "the same text READ_ME.txt created in 10 directories"},
		{"a note alone", func(p pen) {
			for i := range 12 {
				note := fmt.Sprintf(`dir%d\READ_ME.txt`, i)
				p.create(float64(i)+0.5, note)
				p.write(float64(i)+0.6, note, "Your files are e", 1800, 430)
			}
		}, 1, "the same text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s script.Script
			tt.play(pen{&s, client})
			got := s.Play(New(Default()))
			if len(got) != 1 {
				for _, f := range got {
					t.Log(f.LLR, f.Message)
				}
				t.Fatalf("%d findings, want 1", len(got))
			}
			f := got[0]
			if math.Abs(f.LLR-tt.nats) > 1e-9 || !strings.Contains(f.Message, tt.says) {
				t.Errorf("weighs %v: %s", f.LLR, f.Message)
			}
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if math.Abs(sum-f.LLR) > 0.02 || f.Counterfactual == "" || f.Filter == "" || len(f.Conns) == 0 || len(f.Refs) == 0 || f.Actor.Addr != script.Addr(client) {
				t.Errorf("evidence sums to %v of %v; %+v", sum, f.LLR, f)
			}
		})
	}
}

// TestQuiet: honest work in bulk.
func TestQuiet(t *testing.T) {
	for name, play := range map[string]func(pen){
		"29 renames": func(p pen) {
			for i := range 29 {
				p.rename(float64(i), doc1(i), doc1(i)+".locked")
			}
		},
		"photos renamed, the extension stays": func(p pen) {
			for i := range 300 {
				p.rename(float64(i)/5, fmt.Sprintf(`in\IMG_%04d.JPG`, i), fmt.Sprintf(`in\holiday %d.jpg`, i))
			}
		},
		"copies through temporary files": func(p pen) {
			for i := range 300 {
				p.create(float64(i)/5, fmt.Sprintf(`in\IMG_%04d.jpg.part`, i))
				p.write(float64(i)/5, fmt.Sprintf(`in\IMG_%04d.jpg.part`, i), "\xff\xd8\xff\xe0", 4<<20, 470)
				p.rename(float64(i)/5+0.1, fmt.Sprintf(`in\IMG_%04d.jpg.part`, i), fmt.Sprintf(`in\IMG_%04d.jpg`, i))
			}
		},
		"temporary names that were made before taken away": func(p pen) {
			for i := range 100 {
				p.rename(float64(i)/5, fmt.Sprintf(`in\%d.pdf.download`, i), fmt.Sprintf(`in\%d.pdf`, i))
			}
		},
		"an office suite saves": func(p pen) {
			for i := range 20 {
				at := float64(2 * i)
				p.create(at, fmt.Sprintf(`~WRD%04d.tmp`, i))
				p.write(at+0.1, fmt.Sprintf(`~WRD%04d.tmp`, i), "PK\x03\x04", 90000, 490)
				p.rename(at+0.2, `plan.docx`, fmt.Sprintf(`~WRL%04d.tmp`, i))
				p.rename(at+0.3, fmt.Sprintf(`~WRD%04d.tmp`, i), `plan.docx`)
				p.remove(at+0.4, fmt.Sprintf(`~WRL%04d.tmp`, i))
			}
		},
		"a backup reads all, an archiver writes one": func(p pen) {
			for i := range 2000 {
				p.read(float64(i)/30, doc1(i), 50000, 420)
			}
			p.create(70, "all.zip")
			p.write(80, "all.zip", "PK\x03\x04", 90<<20, 576)
		},
		"a compiler writes": func(p pen) {
			for i := range 500 {
				p.read(float64(i)/10, fmt.Sprintf(`src\%d.c`, i), 9000, 440)
				p.create(float64(i)/10, fmt.Sprintf(`obj\%d.obj`, i))
				p.write(float64(i)/10, fmt.Sprintf(`obj\%d.obj`, i), "\x64\x86\x05\x00", 20000, 380)
			}
		},
		"files are converted in place, as text": func(p pen) {
			for i := range 500 {
				p.read(float64(i)/10, fmt.Sprintf(`src\%d.c`, i), 9000, 440)
				p.write(float64(i)/10+0.05, fmt.Sprintf(`src\%d.c`, i), "#include", 9100, 442)
			}
		},
		"archives are packed anew": func(p pen) {
			for i := range 100 {
				p.read(float64(i)/2, fmt.Sprintf(`%d.zip`, i), 90000, 540)
				p.write(float64(i)/2+0.05, fmt.Sprintf(`%d.zip`, i), "PK\x03\x04", 89000, 575)
			}
		},
		"an extension that is in use here": func(p pen) {
			pen{p.Script, other}.do(0, flows.SMBOpen, `x.old`, "", flows.SMB{})
			for i := range 100 {
				p.rename(1+float64(i)/5, doc1(i), doc1(i)+".old")
			}
		},
		"an extension that this client has used for long": func(p pen) {
			p.create(0, `x.bak`)
			for i := range 100 {
				p.rename(1000+float64(i)/5, doc1(i), doc1(i)+".bak")
			}
		},
		"hidden files of a desktop": func(p pen) {
			for i := range 50 {
				path := fmt.Sprintf(`d%d\.DS_Store`, i)
				p.create(float64(i), path)
				p.write(float64(i)+0.1, path, "\x00\x00\x00\x01Bud1\x00\x00\x10\x00", 6148, 120)
			}
		},
		"refused": func(p pen) {
			for i := range 100 {
				p.do(float64(i)/5, flows.SMBRename, doc1(i), doc1(i)+".locked", flows.SMB{Status: 0xc0000022})
			}
		},
	} {
		var s script.Script
		play(pen{&s, client})
		for _, f := range s.Play(New(Default())) {
			t.Errorf("%s: %v %s", name, f.LLR, f.Message)
		}
	}
}

// TestGrows: a storm is one finding that is said again as it grows, and a second one after a rest.
func TestGrows(t *testing.T) {
	var s script.Script
	p := pen{&s, client}
	for i := range 1000 {
		p.rename(float64(i), doc1(i), doc1(i)+".locked")
	}
	for i := range 100 {
		p.rename(5000+float64(i), doc1(i), doc1(i)+".other")
	}
	got := s.Play(New(Default()))
	if len(got) != 2 || got[0].Revision < 2 || !strings.Contains(got[0].Message, "directories: 12") {
		for _, f := range got {
			t.Log(f.Revision, f.Message)
		}
		t.Fatalf("%d findings, want 2", len(got))
	}
}

// TestBound: what a client may make the detector keep.
func TestBound(t *testing.T) {
	cfg := Default()
	cfg.MaxShares = 16
	d := New(cfg)
	var s script.Script
	for i := range 20000 {
		p := pen{&s, fmt.Sprintf("10.0.3.%d", 1+i%40)}
		p.create(float64(i)/100, doc1(i))
		p.rename(float64(i)/100, doc1(i), fmt.Sprintf("%s.%x", doc1(i), i))
	}
	s.Play(d)
	if d.shares.Len() > 16 || d.shares.Evicted() == 0 || d.exts.Evicted() == 0 || d.exts.Len() > maxExts {
		t.Errorf("%d shares, %d extensions, %d evicted", d.shares.Len(), d.exts.Len(), d.Evicted())
	}
	for _, sh := range d.shares.All() {
		if len(sh.events) > maxEvents || len(sh.made) > maxMade || len(sh.files) > maxFiles {
			t.Errorf("%d events, %d made, %d files", len(sh.events), len(sh.made), len(sh.files))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("four wrong fields: %v", err)
	}
}

func BenchmarkSMB(b *testing.B) {
	var s script.Script
	p := pen{&s, client}
	for i := range 1000 {
		p.read(float64(i)/100, doc1(i), 50000, 420)
		p.write(float64(i)/100, doc1(i), "", 50000, 576)
		p.rename(float64(i)/100, doc1(i), doc1(i)+".locked")
	}
	for b.Loop() {
		s.Play(New(Default()))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/fact")
}

var _ detectors.SMBWatcher = (*Detector)(nil)
