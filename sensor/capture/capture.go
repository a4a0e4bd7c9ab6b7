// Package capture is where frames come from: capture files (pcap, pcapng, compressed or not), standard input, and the
// merge of several inputs into one timeline.
//
// A file that ends early or holds damage is read as far as it goes and says so; a length field never makes a reader
// allocate more than the input really holds.
package capture

import "neuromast/sensor/packet"

// Input describes one input for provenance: records name it by its index.
type Input struct {
	Name      string
	Size      int64    // bytes; -1 where unknown (a pipe)
	Digest    [32]byte // SHA-256 of the first MiB as stored
	Frames    uint64   // records that the file holds and the reader delivered
	Bytes     uint64   // captured bytes of those frames
	Truncated bool     // the input ended inside a record, or was damaged beyond reading on
	Damage    string   // what was wrong and where, for people; empty when sound
	Drops     uint64   // packets that the capturing machine reported as dropped (pcapng)
}

// BatchBytes and BatchFrames size a batch: about the second-level cache, and enough frames to make the hand-over cheap.
const (
	BatchBytes  = 256 << 10
	BatchFrames = 1024
)

// Batch is frames with the memory they lie in. The reader fills it; whoever got it returns it for reuse when nothing
// aliases Buf any more. A frame larger than BatchBytes makes Buf grow, up to the largest frame that the input holds.
type Batch struct {
	Buf    []byte
	Frames []packet.Frame

	// What a live source says besides, also in a batch without frames.
	Clock   packet.Time // frames that follow are not earlier than this; 0 says nothing
	Down    bool        // the source is down: nobody should wait for it until it delivers again
	Drops   uint64      // frames that the kernel or the network card dropped since the batch before
	Fill    float64     // how full the source's own buffer is, 0 to 1
	release func()
}

// SetRelease says what is to be done when nothing points into the batch any more.
func (b *Batch) SetRelease(f func()) { b.release = f }

// Release says that nothing points into the batch any more: a live source gives the memory back to the kernel.
func (b *Batch) Release() {
	if b.release != nil {
		b.release()
		b.release = nil
	}
}

// Source delivers frames in order.
type Source interface {
	// ReadBatch overwrites b with the next frames: at least one from files, while a live source may say only its clock.
	// io.EOF says that the input is over; frames and an error
	// never come together. An error means that the source can not go on; a damaged file is not an error but is said in Inputs.
	ReadBatch(b *Batch) error
	// Inputs describes what was read so far; indices are those of packet.Frame.Input.
	Inputs() []Input
	// Progress returns stored bytes read and in total; total is -1 where unknown.
	Progress() (read, total int64)
	Close() error
}
