//go:build !linux

package ledger

import "os"

func remote(string) string { return "" }

func syncData(f *os.File) error { return f.Sync() }
