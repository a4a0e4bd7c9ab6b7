// Package smb turns SMB1, SMB2 and SMB3 (MS-SMB, MS-CIFS, MS-SMB2) into facts: who logged on, which share, file and pipe
// was opened, written, read, renamed, deleted, and which messages no client sends. DCE/RPC in pipes goes to package dcerpc.
//
// Messages are read as they stream by: of each only the fields and the first bytes of its payload are kept, the rest is
// skipped by count, or handed on where it is a pipe's. Compounded requests are read one by one. A request is matched to
// its answer by message id; one that has none is written at a flush. After a gap, or where the start of a connection
// was not seen, reading resumes at the next length with a protocol id behind it.
//
// Whoever sends requests is the client: where a connection's start was not seen, facts name that side as originator.
//
// Of encrypted messages the transform header tells the length in clear, and the structures have fixed lengths: remote
// procedure bindings and their calls, and how much files were written and read, are told by that (seal.go).
//
// Limits, of one connection: 256 open files, 64 requests that wait, 32 trees, 8 sessions, 4 KiB of a message's fields;
// 65,536 facts about files between two reports of the flow, 128 about bindings in encrypted messages.
// The oldest gives way, counted; facts beyond are counted.
package smb

import "neuromast/flows/proto/dcerpc"

const (
	maxFiles    = 256
	maxPending  = 64
	maxTrees    = 32
	maxSessions = 8
	maxFields   = 4 << 10  // bytes kept of a message
	maxName     = 1 << 10  // bytes of a path or name, UTF-8; Windows allows 260 characters, or 32,767 on request
	maxSearch   = 32 << 20 // bytes searched for a message before giving up: two of the largest
	maxIdle     = 2        // associations kept for the next pipe
	headBytes   = 16       // of flows.SMB.Head
	sampleBytes = 64       // of flows.SMB.Sample
	maxFacts    = 1 << 16  // about files, between two flushes
	maxSealed   = 128      // about encrypted messages
)

// Stats counts what was read and what was strange.
type Stats struct {
	Messages       uint64 // requests and answers in clear
	Encrypted      uint64 // messages behind a transform header
	Compressed     uint64 // messages behind a compression header
	Malformed      uint64 // messages that contradict themselves
	WrongSide      uint64 // requests of the server, answers of the client
	Unanswered     uint64 // requests without an answer
	Unasked        uint64 // answers whose request was not seen
	EvictedFiles   uint64
	EvictedPending uint64
	Evicted        uint64 // trees and sessions
	CutNames       uint64 // names longer than is kept
	Resynchronised uint64 // message boundaries found again
	GivenUp        uint64 // connections in which none was found
	CutFacts       uint64 // facts beyond a connection's bound
	RPC            dcerpc.Stats
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Messages += o.Messages
	s.Encrypted += o.Encrypted
	s.Compressed += o.Compressed
	s.Malformed += o.Malformed
	s.WrongSide += o.WrongSide
	s.Unanswered += o.Unanswered
	s.Unasked += o.Unasked
	s.EvictedFiles += o.EvictedFiles
	s.EvictedPending += o.EvictedPending
	s.Evicted += o.Evicted
	s.CutNames += o.CutNames
	s.Resynchronised += o.Resynchronised
	s.GivenUp += o.GivenUp
	s.CutFacts += o.CutFacts
	s.RPC.Add(o.RPC)
}

// NTSTATUS values (MS-ERREF 2.3.1).
const (
	statusPending        = 0x00000103
	statusBufferOverflow = 0x80000005 // a part of the answer; not an error
	statusMoreProcessing = 0xC0000016
)

// The protocol ids that open a message (MS-SMB2 2.2.1, 2.2.41, 2.2.42; MS-CIFS 2.2.3.1).
const (
	idSMB1       = 0xff
	idSMB2       = 0xfe
	idEncrypted  = 0xfd
	idCompressed = 0xfc
)

// The size of each kind's header.
const (
	header1Len = 32
	header2Len = 64
)

// prefixLen is the length before each message: direct TCP (MS-SMB2 2.1) and the NetBIOS session service (RFC 1002, 4.3.1)
// agree where messages are shorter than 128 KiB.
const prefixLen = 4

// Recognise says that b begins with an SMB message and the length before it.
func Recognise(b []byte) bool {
	if len(b) < prefixLen+4 || b[0] != 0 || b[5] != 'S' || b[6] != 'M' || b[7] != 'B' {
		return false
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	switch b[4] {
	case idSMB1:
		return n >= header1Len+3
	case idSMB2:
		return n >= header2Len
	case idEncrypted:
		return n >= 52
	case idCompressed:
		return n >= 16
	}
	return false
}
