//go:build !linux

package fitness

func freeBytes(string) (uint64, bool) { return 0, false }

func memoryLimit() (uint64, bool) { return 0, false }

// Machine says that live capture needs Linux.
func Machine() []Item {
	return []Item{item("kernel", Fail, "use Linux 4.20 or later", "live capture needs Linux; replay works here")}
}

// Interface looks at nothing.
func Interface(string, int) []Item { return nil }
