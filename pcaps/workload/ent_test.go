package workload_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"neuromast/pcaps/workload"
)

func TestSameSeedSameBytes(t *testing.T) {
	sum := func(seed uint64) [32]byte {
		var b bytes.Buffer
		if err := (workload.Ent{Seed: seed, Flows: 300, Scale: 0.1}).Write(&b); err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(b.Bytes())
	}
	if sum(1) != sum(1) {
		t.Error("one seed gives two captures")
	}
	if sum(1) == sum(2) {
		t.Error("two seeds give one capture")
	}
}
