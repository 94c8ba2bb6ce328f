//go:build !linux

package ledger

func remote(string) string { return "" }
