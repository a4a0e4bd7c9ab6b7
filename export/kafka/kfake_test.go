package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is a broker in process: it proves the producer's own logic; what Kafka does is proven on a real one.
func cluster(t *testing.T) (*kfake.Cluster, Config) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "test.findings", "test.incidents", "test.health"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := testConfig(c.ListenAddrs()[0], "test")
	cfg.RetryEvery = 10 * time.Millisecond
	return c, cfg
}

// fail answers the next n produce requests with an error code.
func fail(c *kfake.Cluster, n int32, code int16) *atomic.Int32 {
	var left atomic.Int32
	left.Store(n)
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if left.Add(-1) < 0 {
			return nil, nil, false
		}
		p := req.(*kmsg.ProduceRequest)
		r := p.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range p.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, part := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = part.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			r.Topics = append(r.Topics, rt)
		}
		return r, nil, true
	})
	return &left
}

// stored reads back what the cluster holds: "key=value", each partition in its order.
func stored(t *testing.T, cfg Config) (out []string) {
	t.Helper()
	for part := range 3 {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: cfg.Brokers, Topic: "test.findings", Partition: part, MaxWait: 50 * time.Millisecond})
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			m, err := r.ReadMessage(ctx)
			cancel()
			if err != nil {
				break
			}
			out = append(out, fmt.Sprintf("%s=%s", m.Key, m.Value))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// addsUp checks the account of every topic.
func addsUp(t *testing.T, p *Producer) {
	t.Helper()
	for topic, s := range p.Stats() {
		if s.Produced+s.Recovered != s.Acknowledged+s.Waiting+s.Expired+s.Lost {
			t.Errorf("%s: %+v does not add up", topic, s)
		}
	}
}

func putN(t *testing.T, p *Producer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := p.Put(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTroubles: each error is met in the middle of 60 records. Errors that pass are retried, a forgotten producer gets a
// new id and is counted, what is refused for ever is lost with a number.
func TestTroubles(t *testing.T) {
	for _, c := range []struct {
		name    string
		code    int16
		n       int32
		lost    uint64
		doubled bool
	}{
		{"none", 0, 0, 0, false},
		{"leader moved", kerr.NotLeaderForPartition.Code, 5, 0, false},
		{"too few replicas", kerr.NotEnoughReplicas.Code, 5, 0, false},
		{"request timed out", kerr.RequestTimedOut.Code, 3, 0, false},
		{"stored already", kerr.DuplicateSequenceNumber.Code, 0, 0, false},
		{"out of order", kerr.OutOfOrderSequenceNumber.Code, 1, 0, true},
		{"unknown producer", kerr.UnknownProducerID.Code, 1, 0, true},
		{"too large", kerr.MessageTooLarge.Code, 1, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, cfg := cluster(t)
			p, err := Open(t.Context(), cfg, testSpool(t.TempDir()), "test", quiet())
			if err != nil {
				t.Fatal(err)
			}
			putN(t, p, 0, 20)
			for p.Stats()["test.findings"].Waiting > 0 {
				time.Sleep(time.Millisecond)
			}
			if c.n > 0 {
				fail(cl, c.n, c.code)
			}
			putN(t, p, 20, 60)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := p.Close(ctx); err != nil {
				t.Fatal(err)
			}
			addsUp(t, p)
			s := p.Stats()["test.findings"]
			if s.Lost != c.lost || (s.PossiblyDoubled > 0) != c.doubled {
				t.Errorf("%+v", s)
			}
			got := stored(t, cfg)
			if c.lost == 0 {
				onceEachInOrder(t, got, 60)
			} else if len(got) != 60-int(c.lost) {
				t.Errorf("%d stored", len(got))
			}
		})
	}
}

// TestCloseWithoutAnswer: what no broker acknowledged is said, and goes out with the next start on the same spool.
func TestCloseWithoutAnswer(t *testing.T) {
	cl, cfg := cluster(t)
	dir := t.TempDir()
	p, err := Open(t.Context(), cfg, testSpool(dir), "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	left := fail(cl, 1<<30, kerr.NotEnoughReplicas.Code)
	putN(t, p, 0, 30)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "30 records are not acknowledged") {
		t.Fatalf("got %v", err)
	}
	addsUp(t, p)
	left.Store(0)
	if p, err = Open(t.Context(), cfg, testSpool(dir), "test", quiet()); err != nil {
		t.Fatal(err)
	}
	putN(t, p, 30, 40)
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	addsUp(t, p)
	if s := p.Stats()["test.findings"]; s.Recovered != 30 || s.Acknowledged != 40 {
		t.Errorf("%+v", s)
	}
	onceEachInOrder(t, stored(t, cfg), 40)
}

// TestFullSpoolMakesPutWait, and a cancelled Put says why it could not.
func TestFullSpoolMakesPutWait(t *testing.T) {
	cl, cfg := cluster(t)
	fail(cl, 1<<30, kerr.NotEnoughReplicas.Code)
	sp := testSpool(t.TempDir())
	sp.MaxBytes = 1 << 20
	p, err := Open(t.Context(), cfg, sp, "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r := record(1)
	r.Value = make([]byte, 100<<10)
	for err == nil {
		err = p.Put(ctx, r)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "spool is full") {
		t.Errorf("got %v", err)
	}
	closing, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	p.Close(closing)
	addsUp(t, p)
}

// TestMurmur2 holds the values of Apache Kafka's own test.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
}

// TestStampChangesNothingElse holds that a batch stamped anew keeps its records to the byte.
func TestStampChangesNothingElse(t *testing.T) {
	m := []message{newMessage(record(1), "s", 1), newMessage(record(2), "s", 2)}
	b := encodeBatch(m, session{7, 1}, 5, time.Unix(100, 0))
	var batch kmsg.RecordBatch
	if err := batch.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if batch.ProducerID != 7 || batch.ProducerEpoch != 1 || batch.FirstSequence != 5 || batch.NumRecords != 2 || batch.Magic != 2 ||
		batch.FirstTimestamp != 100_000 || int(batch.Length) != len(b)-12 {
		t.Errorf("%+v", batch)
	}
	again := slices.Clone(b)
	stamp(again, session{9, 0}, 0)
	if string(again[:batchCRC]) != string(b[:batchCRC]) || string(again[batchCount:]) != string(b[batchCount:]) {
		t.Error("more changed than the stamp")
	}
	if got := batchRecords(again); got != 2 {
		t.Errorf("%d records", got)
	}
}

func TestEntries(t *testing.T) {
	b := encodeBatch([]message{newMessage(record(1), "s", 1)}, session{7, 1}, 5, time.Unix(100, 0))
	raw := encodeEntry(3, place{"t.findings", 2}, b)
	e, err := decodeEntry(raw)
	if err != nil || e.replaces != 3 || e.topic != "t.findings" || e.partition != 2 || string(e.batch) != string(b) {
		t.Errorf("%+v %v", e, err)
	}
	for n := range 15 + len("t.findings") + batchHead {
		if _, err := decodeEntry(raw[:n]); err == nil {
			t.Errorf("%d bytes are taken for an entry", n)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	d := Default()
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	d.Brokers, d.TopicPrefix, d.BatchBytes, d.Timeout, d.RetryEvery = []string{"host"}, "a b", 1, 0, 0
	d.SASL.Mechanism, d.TLS.CertFile = "gssapi", "x"
	err := d.Validate()
	for _, want := range []string{"brokers[0]", "topic_prefix", "batch_bytes", "timeout", "retry_every", "sasl.mechanism", "tls.cert_file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}
