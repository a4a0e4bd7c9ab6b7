package craft

import (
	"fmt"
	"time"
)

// smbSetInfo is SET_INFO (MS-SMB2 2.2.39).
const smbSetInfo = 17

// Rename renames an open file (FileRenameInformation, MS-FSCC 2.4.42.2).
func (f *File) Rename(name string) {
	wide := utf16le(name)
	info := append(make([]byte, 16), u32(uint32(len(wide)))...)
	info = append(info, wide...)
	req := append(u16(33), 1, 10)
	req = append(req, u32(uint32(len(info)))...)
	req = append(req, u16(96, 0)...)
	req = append(req, u32(0)...)
	req = append(req, f.id[:]...)
	f.s.exchange(smbSetInfo, f.tree, append(req, info...), statusOK, u16(2))
}

// Storm tells ransomware on a share: each document is read, written over with noise and renamed; a note lies in each directory.
func (n *Net) Storm(at time.Time, client, server *Host, who Account, share string, files int, ext, note string, every time.Duration) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	tree := s.Tree(share)
	for i := range files {
		size := 3000 + n.Rand.IntN(9000)
		name := fmt.Sprintf(`Projects %d\report %d.docx`, i%12, i)
		f := s.create(tree, name, writeAccess, OpenExisting, 0x60, uint64(size))
		f.Read(document(n, size))
		f.Write(n.Bytes(size))
		f.Rename(name + "." + ext)
		f.Close()
		if note != "" && i < 12 {
			f := s.Open(tree, fmt.Sprintf(`Projects %d\%s`, i, note), 0, true)
			f.Write([]byte("All your files are encrypted. To get them back write to the address below and tell this number: 4711.\r\n"))
			f.Close()
		}
		s.Wait(every)
	}
	s.Close()
	return s.Now
}

// Photos tells an import: pictures written under a temporary name, renamed, then numbered anew.
func (n *Net) Photos(at time.Time, client, server *Host, who Account, share string, files int, every time.Duration) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	tree := s.Tree(share)
	for i := range files {
		f := s.Open(tree, fmt.Sprintf(`Pictures\IMG_%04d.JPG.part`, i), 0, true)
		f.Write(append([]byte("\xff\xd8\xff\xe1\x1f\xfeExif\x00\x00MM\x00*\x00\x00\x00\x08"), n.Bytes(6000)...))
		f.Rename(fmt.Sprintf(`Pictures\IMG_%04d.JPG`, i))
		f.Rename(fmt.Sprintf(`Pictures\Summer %d.jpg`, i))
		f.Close()
		s.Wait(every)
	}
	s.Close()
	return s.Now
}
