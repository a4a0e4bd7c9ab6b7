package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"time"

	"neuromast/export"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Offsets in a record batch, version 2 (Kafka protocol guide, "Record Batch").
const (
	batchCRC       = 17
	batchCRCFrom   = 21
	batchFirstTime = 27
	batchMaxTime   = 35
	batchProducer  = 43
	batchEpoch     = 51
	batchSequence  = 53
	batchCount     = 57
	batchHead      = 61
)

// session is what makes a producer idempotent: its id and epoch, given by the broker.
type session struct {
	id    int64
	epoch int16
}

// header is one record header.
type header struct {
	key   string
	value []byte
}

// encodeBatch makes a record batch of records that share a partition. Its bytes are what is spooled and sent.
func encodeBatch(records []message, s session, base int32, now time.Time) []byte {
	ms := now.UnixMilli()
	b := make([]byte, batchHead, batchHead+4096)
	be := binary.BigEndian
	b[16] = 2               // magic
	be.PutUint32(b[12:], 0) // partition leader epoch: the broker's to set
	be.PutUint16(b[21:], 0) // attributes: no compression, create time, not transactional
	be.PutUint32(b[23:], uint32(len(records)-1))
	be.PutUint64(b[batchFirstTime:], uint64(ms))
	be.PutUint64(b[batchMaxTime:], uint64(ms))
	be.PutUint32(b[batchCount:], uint32(len(records)))
	var rec []byte
	for i, m := range records {
		rec = append(rec[:0], 0) // attributes
		rec = binary.AppendVarint(rec, 0)
		rec = binary.AppendVarint(rec, int64(i))
		rec = appendBytes(rec, m.key)
		rec = appendBytes(rec, m.value)
		rec = binary.AppendVarint(rec, int64(len(m.headers)))
		for _, h := range m.headers {
			rec = appendBytes(rec, []byte(h.key))
			rec = appendBytes(rec, h.value)
		}
		b = binary.AppendVarint(b, int64(len(rec)))
		b = append(b, rec...)
	}
	be.PutUint32(b[8:], uint32(len(b)-12))
	stamp(b, s, base)
	return b
}

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

// stamp writes the producer's session and base sequence into a batch and mends its CRC. The records stay as they were cut.
func stamp(b []byte, s session, base int32) {
	be := binary.BigEndian
	be.PutUint64(b[batchProducer:], uint64(s.id))
	be.PutUint16(b[batchEpoch:], uint16(s.epoch))
	be.PutUint32(b[batchSequence:], uint32(base))
	be.PutUint32(b[batchCRC:], crc32.Checksum(b[batchCRCFrom:], castagnoli))
}

func batchSession(b []byte) session {
	return session{int64(binary.BigEndian.Uint64(b[batchProducer:])), int16(binary.BigEndian.Uint16(b[batchEpoch:]))}
}

func batchRecords(b []byte) int32 { return int32(binary.BigEndian.Uint32(b[batchCount:])) }

// message is a record on its way into a batch.
type message struct {
	key, value []byte
	headers    []header
}

// newMessage gives a record its headers: ours, and those of the CloudEvents Kafka binding 1.0 in binary mode.
func newMessage(r export.Record, sensor string, sequence uint64) message {
	h := func(k, v string) header { return header{k, []byte(v)} }
	return message{key: r.Key, value: r.Value, headers: []header{
		h("content-type", "application/json"),
		h("schema", r.Schema), h("schema-version", r.Version),
		h("event-id", r.EventID), h("revision", itoa(uint64(r.Revision))),
		h("sensor-id", sensor), h("sequence", itoa(sequence)),
		h("ce_specversion", "1.0"), h("ce_id", r.EventID+"/"+itoa(uint64(r.Revision))), h("ce_source", "/neuromast/"+sensor),
		h("ce_type", r.Schema+".v"+r.Version), h("ce_time", r.Time), h("ce_datacontenttype", "application/json"),
	}}
}

// murmur2 is the hash that Java producers choose a partition by (Apache Kafka, Utils.murmur2).
func murmur2(key []byte) uint32 {
	const seed, m, r = 0x9747b28c, 0x5bd1e995, 24
	h := uint32(seed) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k = (k ^ k>>r) * m
		h = h*m ^ k
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(key[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}

// partitionOf is the partition of a key, as Java's default partitioner chooses it.
func partitionOf(key []byte, partitions int) int {
	return int(murmur2(key)&0x7fffffff) % partitions
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
