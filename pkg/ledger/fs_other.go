//go:build !linux

package ledger

import "os"

func remote(string) string { return "" }

func syncData(f *os.File) error { return f.Sync() }

func mapWritten(*os.File, int) ([]byte, error) { return nil, nil }

func unmap([]byte) error { return nil }
