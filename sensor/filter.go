package main

import (
	"neuromast/sensor/bpf"
	"neuromast/sensor/capture"
	"neuromast/sensor/capture/ring"
	"neuromast/sensor/packet"
)

// kernelFilter compiles a filter for the kernel, which has the outer VLAN tag apart.
func kernelFilter(expr string) (ring.Filter, error) {
	p, err := bpf.Compile(expr, packet.LinkEthernet, bpf.Ancillary)
	if err != nil {
		return nil, err
	}
	return ring.NewFilter(p), nil
}

// filtered lets through the frames of a source that a filter takes. A filter is compiled for each link type when its
// first frame comes; a link type that can't be filtered is an error, so that nothing is left out unsaid.
type filtered struct {
	capture.Source
	expr     string
	programs map[packet.LinkType]bpf.Program
	out      uint64 // frames left out
}

// filter wraps a source; an empty expression leaves it as it is.
func filter(src capture.Source, expr string) (capture.Source, error) {
	if expr == "" {
		return src, nil
	}
	if _, err := bpf.Compile(expr, packet.LinkEthernet, bpf.InFrame); err != nil {
		return nil, err
	}
	return &filtered{Source: src, expr: expr, programs: map[packet.LinkType]bpf.Program{}}, nil
}

// ReadBatch implements capture.Source.
func (f *filtered) ReadBatch(b *capture.Batch) error {
	for {
		if err := f.Source.ReadBatch(b); err != nil {
			return err
		}
		kept := b.Frames[:0]
		for i := range b.Frames {
			fr := &b.Frames[i]
			p, ok := f.programs[fr.Link]
			if !ok {
				var err error
				if p, err = bpf.Compile(f.expr, fr.Link, bpf.InFrame); err != nil {
					return err
				}
				f.programs[fr.Link] = p
			}
			if p.Match(fr.Data, int(fr.WireLen), bpf.Tag{}) {
				kept = append(kept, *fr)
			}
		}
		f.out += uint64(len(b.Frames) - len(kept))
		if b.Frames = kept; len(kept) > 0 {
			return nil
		}
	}
}
