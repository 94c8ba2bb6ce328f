package table

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       []string
		problem    string
	}{
		"a BOM, quotes, CRLF":        {"a.csv", "\xef\xbb\xbfid,\"A, b\",C\r\n1,2,3\r\n", []string{"id", "A, b", "C"}, ""},
		"keys in order, not by name": {"a.jsonl", "{\"z\":1,\"a\":{\"x\":[1]}}\n{\"z\":null,\"b\":2}\n", []string{"z", "a", "b"}, ""},
		"nothing":                    {"a.csv", "", nil, "the file is empty"},
		"no keys":                    {"a.jsonl", "", nil, "the file is empty"},
		"a list":                     {"a.jsonl", "[1]\n", nil, "not one JSON object"},
		"cut off":                    {"a.jsonl", "{\"a\":1,\n", nil, "cannot be read"},
		"no Parquet":                 {"a.parquet", "PAR1 not so PAR1", nil, "cannot be read"},
		"no gzip":                    {"a.csv.gz", "id,a\n", nil, "gzip"},
		"no table":                   {"a.txt", "id,a\n", nil, "it must end in"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := Header(path)
			if !slices.Equal(got, c.want) || (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
