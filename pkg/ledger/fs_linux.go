package ledger

import (
	"os"
	"syscall"
)

// remote names the file system of a folder if it is a network one, whose locks SQLite cannot trust; "" otherwise.
// The numbers are those of statfs(2).
func remote(dir string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return ""
	}
	switch uint32(s.Type) {
	case 0x6969:
		return "NFS"
	case 0x517B, 0xFF534D42, 0xFE534D42:
		return "SMB"
	case 0x01021997:
		return "9P"
	case 0x5346414F:
		return "AFS"
	case 0x00C36400:
		return "Ceph"
	case 0x0BD00BD0:
		return "Lustre"
	case 0x47504653:
		return "GPFS"
	}
	return ""
}

// syncData waits until what was written in place is on the disk.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
