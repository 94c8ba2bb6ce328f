package table

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/klauspost/compress/gzip"
)

// Header lists a table's columns in the file's order; those of JSON lines are the keys of the first rows.
func Header(path string) (names []string, err error) {
	name, zipped := strings.CutSuffix(strings.ToLower(path), ".gz")
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	defer f.Close()
	var in io.Reader = f
	if zipped {
		if in, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("table: %s: %w", path, err)
		}
	}
	switch {
	case strings.HasSuffix(name, ".csv"):
		names, err = csvHeader(in)
	case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".ndjson"):
		names, err = keys(in)
	case strings.HasSuffix(name, ".parquet") && !zipped:
		names, err = parquetHeader(f)
	default:
		return nil, fmt.Errorf("table: %s: not a table's name: it must end in .csv, .jsonl, .csv.gz, .jsonl.gz or .parquet", path)
	}
	if err == io.EOF || err == nil && len(names) == 0 {
		return nil, fmt.Errorf("table: %s: the file is empty", path)
	}
	if err != nil {
		return nil, fmt.Errorf("table: %s: the header cannot be read: %w", path, err)
	}
	return names, nil
}

func csvHeader(in io.Reader) ([]string, error) {
	b := bufio.NewReader(io.LimitReader(in, maxRecord))
	if bom, _ := b.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		b.Discard(3)
	}
	return csv.NewReader(b).Read()
}

// keys collects the keys of the first rows, in the order of their first appearance.
func keys(in io.Reader) (names []string, err error) {
	d := json.NewDecoder(in)
	for range sparse {
		t, err := d.Token()
		if err == io.EOF {
			return names, nil
		}
		if err == nil && t != json.Delim('{') {
			err = fmt.Errorf("not one JSON object a line")
		}
		for err == nil && d.More() {
			var value json.RawMessage
			if t, err = d.Token(); err == nil {
				err = d.Decode(&value)
			}
			if key, _ := t.(string); !slices.Contains(names, key) {
				names = append(names, key)
			}
		}
		if err == nil {
			_, err = d.Token() // the closing brace
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

func parquetHeader(f *os.File) (names []string, err error) {
	defer func() {
		if r := recover(); r != nil { // the decoder panics on damaged files
			err = fmt.Errorf("damaged Parquet")
		}
	}()
	r, err := file.NewParquetReader(f)
	if err != nil {
		return nil, err
	}
	schema := r.MetaData().Schema
	for i := range schema.NumColumns() {
		names = append(names, schema.Column(i).Path())
	}
	return names, nil
}
