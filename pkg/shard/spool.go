package shard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"silverbeam/pkg/volume"
)

// SpoolSuffix ends the name of a spool, after that of its shard.
const SpoolSuffix = ".rows"

// Spool keeps what became of the volumes of a shard that is being made, as soon as each is through, so that a process that is
// killed costs no more volumes than it was reading. It is a file beside the shard, which only one process has; it is removed
// when the shard is there, and no Commit leaves one. It is not synced: what a power failure takes is read again. A nil Spool keeps nothing, and is what
// a folder that takes no file gives. Methods may be called by any number of goroutines.
type Spool struct {
	file *os.File
	at   map[string]spooled // what was there, by volume
	mu   sync.Mutex
	end  int64 // of the last whole record
}

// Kept is what became of a volume: its voxels, or why it was refused.
type Kept struct {
	HU     []int16
	Scan   Scan
	Reason string // "": it was not refused
}

// spooled is a record's head; the voxels follow it.
type spooled struct {
	Volume string
	Scan   Scan
	Bins   volume.Bins `json:",omitzero"` // Scan.HU
	Reason string      `json:",omitempty"`
	Bytes  int64       // of voxels

	at int64 // where they are in the file
}

// spoolSums finds a record that was not written whole.
var spoolSums = crc32.MakeTable(crc32.Castagnoli)

// OpenSpool opens the spool of the shard at path, with what an attempt that was ended had put into it.
func OpenSpool(path string) *Spool {
	if os.MkdirAll(filepath.Dir(path), 0o755) != nil {
		return nil
	}
	f, err := os.OpenFile(path+SpoolSuffix, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil { // an attempt that was given up, and still runs
		f.Close()
		return nil
	}
	s := &Spool{file: f, at: map[string]spooled{}}
	for s.scan() {
	}
	if f.Truncate(s.end) != nil {
		f.Close()
		return nil
	}
	return s
}

// scan reads the record at the end, if it is whole: the lengths of its head and of the record, its sum, head and voxels.
func (s *Spool) scan() bool {
	var frame [12]byte
	if _, err := s.file.ReadAt(frame[:], s.end); err != nil {
		return false
	}
	size, head, sum := binary.LittleEndian.Uint32(frame[:]), binary.LittleEndian.Uint32(frame[4:]), crc32.New(spoolSums)
	n, err := io.Copy(sum, io.NewSectionReader(s.file, s.end+12, int64(size)))
	if err != nil || n < int64(size) || head > size || sum.Sum32() != binary.LittleEndian.Uint32(frame[8:]) {
		return false
	}
	text := make([]byte, head)
	var r spooled
	if _, err := s.file.ReadAt(text, s.end+12); err != nil || json.Unmarshal(text, &r) != nil || r.Bytes != int64(size-head) {
		return false
	}
	r.at = s.end + 12 + int64(head)
	s.end, s.at[r.Volume] = s.end+12+int64(size), r
	return true
}

// Has says whether a volume was kept when the spool was opened.
func (s *Spool) Has(id string) bool {
	if s == nil {
		return false
	}
	_, ok := s.at[id]
	return ok
}

// Take gives a volume that Has has.
func (s *Spool) Take(id string) (Kept, error) {
	r := s.at[id] // Put changes no map
	k := Kept{HU: make([]int16, r.Bytes/2), Scan: r.Scan, Reason: r.Reason}
	k.Scan.HU = r.Bins
	_, err := s.file.ReadAt(volume.Bytes(k.HU), r.at)
	return k, err
}

// Put keeps a volume, if there is room.
func (s *Spool) Put(id string, k Kept) {
	if s == nil {
		return
	}
	voxels := volume.Bytes(k.HU)
	head, err := json.Marshal(spooled{Volume: id, Scan: k.Scan, Bins: k.Scan.HU, Reason: k.Reason, Bytes: int64(len(voxels))})
	if err != nil {
		panic("shard: spool: " + err.Error())
	}
	record := binary.LittleEndian.AppendUint32(nil, uint32(len(head)+len(voxels)))
	record = binary.LittleEndian.AppendUint32(record, uint32(len(head)))
	record = binary.LittleEndian.AppendUint32(record, crc32.Update(crc32.Checksum(head, spoolSums), spoolSums, voxels))
	record = append(record, head...)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.file.WriteAt(record, s.end)
	if err == nil {
		_, err = s.file.WriteAt(voxels, s.end+int64(len(record)))
	}
	if err != nil {
		_ = s.file.Truncate(s.end)
		return
	}
	s.end += int64(len(record) + len(voxels))
}

// Close lets the next attempt have what is kept.
func (s *Spool) Close() {
	if s != nil {
		s.file.Close()
	}
}

// sweepSpools removes those of dir and the folders in it.
func sweepSpools(dir string) (err error) {
	for _, in := range []string{"", "*"} {
		found, _ := filepath.Glob(filepath.Join(dir, in, "*"+SpoolSuffix))
		for _, path := range found {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}
