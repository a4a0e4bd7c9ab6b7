package spool

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// takeLock keeps a second process out; the kernel releases it when this one ends, however it ends.
func (s *Spool) takeLock() error {
	path := filepath.Join(s.cfg.Dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("spool: %s is in use by another process: give each sensor its own export.spool.dir (%w)", s.cfg.Dir, err)
	}
	s.lock = f
	return nil
}
