package capture

import (
	"encoding/binary"
	"math/bits"

	"neuromast/sensor/packet"
)

// maxRecord is the largest record that is believed, in bytes. Chosen by us: jumbograms and super-packets of network
// cards stay below 1 MiB, USB captures below 4; beyond it a length field is damage.
const maxRecord = 16 << 20

// format reads the records of one file format. It is a value behind a pointer that copy can set aside.
type format interface {
	// records appends the frames of the complete records that b starts with, up to cap(frames), and returns how many
	// bytes it took. Damage says, for people, why the record behind them can not be read.
	records(b []byte, frames []packet.Frame, input uint32) (_ []packet.Frame, taken int, damage string)
	// number returns the number of the last record.
	number() uint64
	// findings returns what the file says about itself: reported drops, and a note on records that had to be left out.
	findings() (drops uint64, note string)
	// copy sets the state aside, in into where that is of the same format.
	copy(into format) format
}

// magic lengths: what recognise looks at.
const (
	minMagic  = 4
	pcapBytes = 24 // file header
)

// The magic numbers of pcap (draft-ietf-opsawg-pcap) as a little-endian machine reads them; b2cd34 is A. Kuznetsov's
// variant with longer record headers, which some old Linux systems wrote.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
)

// isFormat says whether a file that begins with b is pcap or pcapng.
func isFormat(b []byte) bool {
	if len(b) < minMagic {
		return false
	}
	switch m := binary.LittleEndian.Uint32(b); m {
	case blockSection:
		return true
	case magicMicro, magicNano, magicModified:
		return true
	default:
		m = bits.ReverseBytes32(m)
		return m == magicMicro || m == magicNano || m == magicModified
	}
}

// headerBytes returns how many bytes newFormat needs of a file that isFormat.
func headerBytes(b []byte) int {
	if binary.LittleEndian.Uint32(b) == blockSection {
		return 16 // type, length, byte-order magic, version
	}
	return pcapBytes
}

// newFormat reads the head of a file, of which headerBytes are there, and returns how many bytes to go past.
func newFormat(b []byte) (format, int, error) {
	if binary.LittleEndian.Uint32(b) == blockSection {
		f, err := newPcapng(b)
		return f, 0, err
	}
	f, err := newPcap(b)
	return f, pcapBytes, err
}
