package storm

import (
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds and factors of the package comment, chosen by us.
const (
	rest       = 0.3
	maxNats    = 9.0
	span       = time.Minute
	extNew     = 15 * time.Minute // how long ago an extension may have come up and still be new
	extShare   = 0.8
	lowRatio   = 0.9
	highRatio  = 1.2
	minEntropy = 5.6 // bits per byte of what is written
	minRise    = 1.0
	aFew       = 10 // rewritten files that vouch for an extension; directories of a note
	minNote    = 100
	maxNote    = 64 << 10
	minSample  = 48 // bytes: of fewer, entropy says little
	maxEvents  = 256
	maxFiles   = 128
	maxMade    = 128
	maxExts    = 1 << 14
	maxSamples = 6
)

// Detector is rule smb.storm.
type Detector struct {
	cfg    Config
	shares *lru.Table[key, share]
	exts   *lru.Table[uint64, extension]
}

// key is a client and a share of a server, by the hash of its name.
type key struct {
	client, server detectors.HostKey
	share          uint64
}

// extension is who used one here, and since when.
type extension struct {
	first  packet.Time
	client detectors.HostKey
	text   string
	others bool // another client did, too
}

// eventKind is what happened to a file.
type eventKind uint8

const (
	renamed   eventKind = iota // or copied under the name and deleted
	rewritten                  // read, then written
)

// event is one such.
type event struct {
	at       packet.Time
	ext      uint64 // of the new name; 0: it stayed or doesn't count
	kind     eventKind
	appended bool
	wrote    uint16 // entropy
	read     uint16
}

// file is one that is read and written.
type file struct {
	name                uint64
	readAt, wroteAt     packet.Time // 0: not
	read, wrote         uint64
	readDone, wroteDone bool
	readEnt, wroteEnt   uint16
	counted             bool
}

// made is a file that was created.
type made struct {
	at    packet.Time
	name  uint64 // of the whole path
	stem  uint64 // of the path without its last extension
	base  uint64 // of the last part and, of a text, its size
	dir   uint64
	ext   uint64
	isTxt bool
}

// share is what a client did on a share lately.
type share struct {
	events  []event
	files   []file
	made    []made
	next    struct{ event, file, made int }
	renames int // of the storm so far, with the extension
	rewrote int
	name    string
	ext     string
	note    string
	samples []string
	users   []string
	dirs    sketch.Distinct
	conns   []flows.Conn
	refs    []flows.Ref
	start   packet.Time // of the storm; 0: none
	last    packet.Time
	said    float64
	saidAll int
	best    verdict
}

// verdict is what the last minute comes to.
type verdict struct {
	renames, same int
	ext           uint64
	appended      bool
	vouched       bool
	rewrites      int
	wrote, read   float64 // mean entropies
	notes         int
	terms         [3]float64 // renames, rewrites, notes
	sum           float64
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, shares: lru.New[key, share](cfg.MaxShares, nil), exts: lru.New[uint64, extension](maxExts, nil)}
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{&rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.shares.Evicted() + d.exts.Evicted() }

// SMB takes an operation on a file.
func (d *Detector) SMB(env detectors.Env, s *flows.SMB) {
	switch s.Op {
	case flows.SMBOpen, flows.SMBWrite, flows.SMBRead, flows.SMBRename, flows.SMBDelete:
	default:
		return
	}
	if s.Answered && s.Status != 0 || s.Path.Len == 0 {
		return
	}
	b, now := env.Batch(), env.Now()
	client := detectors.HostKey{Segment: s.Segment, Addr: s.Orig}
	path := strings.ToLower(b.String(s.Path))
	if s.Op == flows.SMBOpen && !s.Created {
		d.use(now, client, extOf(path))
		return
	}
	k := key{client, detectors.HostKey{Segment: s.Segment, Addr: s.Resp}, sketch.Hash(b.Bytes(s.Share))}
	sh, isNew := d.shares.Use(k)
	if isNew {
		name := b.String(s.Share)
		sh.name = windows.Printable(name[strings.LastIndexByte(name, '\\')+1:])
	}
	if sh.start != 0 && now.Sub(sh.last) > detectors.Quiet {
		sh.calm()
	}
	changed, counts := false, false
	switch s.Op {
	case flows.SMBOpen:
		d.use(now, client, extOf(path))
		sh.create(now, path)
	case flows.SMBRead, flows.SMBWrite:
		changed = sh.moved(now, s, path)
		counts = changed
	case flows.SMBRename:
		next := strings.ToLower(b.String(s.NewPath))
		d.use(now, client, extOf(next))
		changed, counts = true, sh.rename(now, path, next)
		if counts && len(sh.samples) < maxSamples {
			sh.samples = append(sh.samples, windows.Printable(b.String(s.Path)+" to "+lastPart(b.String(s.NewPath))))
		}
	case flows.SMBDelete:
		changed = sh.remove(now, path)
		counts = changed
	}
	if !changed {
		return
	}
	if counts {
		sh.dirs.Add(sketch.HashString(dirOf(path)))
	}
	d.judge(env, k, sh, s, path, counts)
}

// use notes that a client uses an extension.
func (d *Detector) use(now packet.Time, client detectors.HostKey, ext string) {
	if ext == "" {
		return
	}
	x, isNew := d.exts.Use(sketch.HashString(ext))
	if isNew {
		*x = extension{first: now, client: client, text: strings.Clone(ext)}
	} else if x.client != client {
		x.others = true
	}
}

// isNew says that only this client has used an extension, and not for long before the storm.
func (d *Detector) isNew(sh *share, client detectors.HostKey, ext uint64, now packet.Time) bool {
	if sh.start != 0 {
		now = sh.start
	}
	x := d.exts.Get(ext)
	return x != nil && !x.others && x.client == client && now.Sub(x.first) <= extNew
}

// put enters v in a ring of at most max.
func put[T any](ring *[]T, next *int, max int, v T) *T {
	if len(*ring) < max {
		*ring = append(*ring, v)
		return &(*ring)[len(*ring)-1]
	}
	p := &(*ring)[*next]
	*p = v
	*next = (*next + 1) % max
	return p
}

func (sh *share) create(now packet.Time, path string) {
	ext := extOf(path)
	m := made{at: now, name: sketch.HashString(path), base: sketch.HashString(lastPart(path)), dir: sketch.HashString(dirOf(path))}
	if ext != "" {
		m.ext, m.stem = sketch.HashString(ext), sketch.HashString(path[:len(path)-len(ext)-1])
	}
	put(&sh.made, &sh.next.made, maxMade, m)
}

// rename takes a renaming and says whether it counts.
func (sh *share) rename(now packet.Time, old, next string) bool {
	e := event{at: now, kind: renamed}
	ext := extOf(next)
	name := sketch.HashString(old)
	dance := slices.ContainsFunc(sh.made, func(m made) bool { return m.name == name && now.Sub(m.at) <= extNew })
	if ext != "" && ext != extOf(old) && !strings.HasPrefix(old, next) && !dance {
		e.ext, e.appended = sketch.HashString(ext), strings.HasPrefix(next, old+".")
	}
	put(&sh.events, &sh.next.event, maxEvents, e)
	return e.ext != 0
}

// remove takes a deletion: of an original that was copied under a new extension it counts as a renaming.
func (sh *share) remove(now packet.Time, path string) bool {
	name := sketch.HashString(path)
	for i := range sh.made {
		if m := &sh.made[i]; m.stem == name && m.ext != 0 && now.Sub(m.at) <= span {
			put(&sh.events, &sh.next.event, maxEvents, event{at: now, kind: renamed, ext: m.ext, appended: true})
			m.stem = 0
			return true
		}
	}
	return false
}

// moved takes what was read or written and says whether it ends a rewriting or makes a note.
func (sh *share) moved(now packet.Time, s *flows.SMB, path string) bool {
	name := sketch.HashString(path)
	i := slices.IndexFunc(sh.files, func(f file) bool { return f.name == name })
	var f *file
	if i >= 0 {
		f = &sh.files[i]
		if now.Sub(max(f.readAt, f.wroteAt)) > span {
			*f = file{name: name}
		}
	} else {
		f = put(&sh.files, &sh.next.file, maxFiles, file{name: name})
	}
	ent := uint16(0)
	if s.Sample >= minSample {
		ent = s.Entropy
	}
	if s.Op == flows.SMBRead {
		if f.readAt == 0 {
			f.readAt, f.readEnt = now, ent
		}
		f.read, f.readDone = max(f.read, s.Bytes), f.readDone || s.Final
	} else {
		if f.wroteAt == 0 {
			f.wroteAt, f.wroteEnt = now, ent
		}
		f.wrote, f.wroteDone = max(f.wrote, s.Bytes), f.wroteDone || s.Final
		if s.Final && sh.isNote(name, s, path) {
			return true
		}
	}
	if f.counted || !f.readDone || !f.wroteDone || f.readAt == 0 || f.wroteAt < f.readAt || f.readEnt == 0 || f.wroteEnt == 0 || f.read == 0 {
		return false
	}
	if ratio := float64(f.wrote) / float64(f.read); ratio < lowRatio || ratio > highRatio {
		return false
	}
	f.counted = true
	put(&sh.events, &sh.next.event, maxEvents, event{at: now, kind: rewritten, wrote: f.wroteEnt, read: f.readEnt})
	return true
}

// isNote marks a small text that was created.
func (sh *share) isNote(name uint64, s *flows.SMB, path string) bool {
	if s.Bytes < minNote || s.Bytes > maxNote || s.HeadLen < 8 {
		return false
	}
	for _, c := range s.Head[:s.HeadLen] {
		if (c < 0x20 || c > 0x7e) && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	for i := range sh.made {
		if m := &sh.made[i]; m.name == name && !m.isTxt {
			m.isTxt, m.base = true, sketch.Join(m.base, s.Bytes)
			return true
		}
	}
	return false
}

// notes returns in how many directories the commonest text of late lies, and whether it is the one of path.
func (sh *share) notes(now packet.Time, path string) (most int, isThis bool) {
	name := sketch.HashString(path)
	i := slices.IndexFunc(sh.made, func(m made) bool { return m.name == name && m.isTxt })
	if i < 0 {
		return 0, false
	}
	base := sh.made[i].base
	var dirs []uint64
	for _, m := range sh.made {
		if m.isTxt && m.base == base && now.Sub(m.at) <= span && !slices.Contains(dirs, m.dir) {
			dirs = append(dirs, m.dir)
		}
	}
	return len(dirs), true
}

// weigh judges the last minute.
func (d *Detector) weigh(sh *share, k key, now packet.Time) (v verdict) {
	var exts []uint64
	var counts []int
	var wrote, read float64
	for _, e := range sh.events {
		if now.Sub(e.at) > span {
			continue
		}
		switch e.kind {
		case renamed:
			v.renames++
			if e.ext == 0 {
				continue
			}
			i := slices.Index(exts, e.ext)
			if i < 0 {
				exts, counts = append(exts, e.ext), append(counts, 0)
				i = len(exts) - 1
			}
			counts[i]++
		case rewritten:
			v.rewrites++
			wrote += float64(e.wrote) / 100
			read += float64(e.read) / 100
		}
	}
	for i, n := range counts {
		if n > v.same {
			v.same, v.ext = n, exts[i]
		}
	}
	appended := 0
	for _, e := range sh.events {
		if e.kind == renamed && e.ext == v.ext && e.appended && now.Sub(e.at) <= span {
			appended++
		}
	}
	if v.rewrites > 0 {
		v.wrote, v.read = wrote/float64(v.rewrites), read/float64(v.rewrites)
	}
	scrambled := v.wrote >= minEntropy && v.wrote-v.read >= minRise
	v.vouched = scrambled && v.rewrites >= aFew
	v.appended = 2*appended > v.same
	if v.renames >= d.cfg.MinRenames && float64(v.same) >= extShare*float64(v.renames) && d.isNew(sh, k.client, v.ext, now) {
		v.terms[0] = 2
		if v.appended || v.vouched {
			v.terms[0] = 6
		}
	}
	if v.rewrites >= d.cfg.MinRewrites && scrambled {
		v.terms[1] = 6
	}
	return v
}

// add sums the terms up: the heaviest in full, the others in part.
func (v *verdict) add() {
	top := max(v.terms[0], v.terms[1], v.terms[2])
	v.sum = min(maxNats, top+rest*(v.terms[0]+v.terms[1]+v.terms[2]-top))
}

// judge weighs and tells.
func (d *Detector) judge(env detectors.Env, k key, sh *share, s *flows.SMB, path string, counts bool) {
	now, b := env.Now(), env.Batch()
	v := d.weigh(sh, k, now)
	if n, isThis := sh.notes(now, path); isThis && n >= aFew {
		v.notes = n
		sh.note = windows.Printable(lastPart(b.String(s.Path)))
	}
	v.notes = max(v.notes, sh.best.notes)
	if v.notes >= aFew {
		v.terms[2] = 1
	}
	v.add()
	if v.sum < d.cfg.MinNats && sh.start == 0 {
		return
	}
	if sh.start == 0 {
		sh.start = now.Add(-span)
		if oldest := sh.oldest(now); oldest != 0 {
			sh.start = oldest
		}
		sh.renames, sh.rewrote = v.same, v.rewrites
	} else if counts && (s.Op == flows.SMBRename || s.Op == flows.SMBDelete) {
		sh.renames++
	} else if counts {
		sh.rewrote++
	}
	if counts {
		sh.last = now
	}
	if v.terms[0] > 0 {
		sh.ext = windows.Printable(d.exts.Get(v.ext).text) // there: isNew has looked
	}
	if u := windows.Printable(b.String(s.User)); u != "" && len(sh.users) < 4 && !slices.Contains(sh.users, u) {
		sh.users = append(sh.users, u)
	}
	if !slices.ContainsFunc(sh.conns, func(c flows.Conn) bool { return c.ID == s.ID }) && len(sh.conns) < detectors.MaxFlows {
		sh.conns = append(sh.conns, s.Conn)
	}
	if len(sh.refs) < detectors.MaxRefs {
		sh.refs = append(sh.refs, s.Ref)
	}
	if v.sum > sh.best.sum || v.sum == sh.best.sum && v.same+v.rewrites > sh.best.same+sh.best.rewrites {
		sh.best = v
	}
	if sh.best.sum < d.cfg.MinNats {
		return
	}
	if all := sh.renames + sh.rewrote; sh.best.sum > sh.said || all >= 4*sh.saidAll {
		f := d.finding(k, sh)
		f.Grew = sh.said > 0
		sh.said, sh.saidAll = sh.best.sum, all
		env.Emit(f)
	}
}

// oldest returns the time of the first event of the last minute.
func (sh *share) oldest(now packet.Time) (at packet.Time) {
	for _, e := range sh.events {
		if now.Sub(e.at) <= span && (at == 0 || e.at < at) {
			at = e.at
		}
	}
	return at
}

// calm ends a storm.
func (sh *share) calm() {
	*sh = share{events: sh.events[:0], files: sh.files[:0], made: sh.made[:0], name: sh.name}
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '\\')+1:] }

func dirOf(path string) string { return path[:max(0, strings.LastIndexByte(path, '\\'))] }

// extOf is what follows the last dot of a name; of more than 24 bytes it is none.
func extOf(path string) string {
	base := lastPart(path)
	i := strings.LastIndexByte(base, '.')
	if i <= 0 || len(base)-i-1 > 24 {
		return ""
	}
	return base[i+1:]
}
