package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"silverbeam/pkg/shard"

	"github.com/klauspost/compress/gzip"
	"github.com/spf13/cobra"
)

// form is how a label table is written, by the extension of its file.
func form(out string) (kind string, gz bool) {
	if out == "-" {
		return ".csv", false
	}
	name, gz := strings.CutSuffix(out, ".gz")
	return filepath.Ext(name), gz
}

// writable refuses an output that could not be written, before anything is run or spent.
func writable(cmd *cobra.Command, out string) error {
	kind, gz := form(out)
	switch {
	case out == "":
		return usage(cmd, "--out: a file is needed: .csv, .jsonl, .parquet, or - for stdout")
	case kind != ".csv" && kind != ".jsonl" && kind != ".parquet" || gz && kind == ".parquet":
		return usage(cmd, "--out: %q: one of .csv, .jsonl, .csv.gz, .jsonl.gz, .parquet", out)
	case out == "-":
		return nil
	}
	err := os.MkdirAll(filepath.Dir(out), 0o755)
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(filepath.Dir(out), ".silverbeam-*")
	}
	if err != nil {
		return &Exit{codeUsage, fmt.Errorf("--out: %s: the folder cannot be written to: %w", filepath.Dir(out), err), ""}
	}
	f.Close()
	return os.Remove(f.Name())
}

// writeLabels writes the run's label table, dataset/labels.csv or .parquet, as the user asked.
func writeLabels(stdout io.Writer, dataset, out string) error {
	kind, gz := form(out)
	source := ".csv"
	if kind == ".parquet" {
		source = kind
	}
	in, err := os.Open(filepath.Join(dataset, "labels"+source))
	if err != nil {
		return err
	}
	defer in.Close()
	write := func(w io.Writer) error {
		if kind == ".jsonl" {
			return csvToJSONL(w, in)
		}
		_, err := io.Copy(w, in)
		return err
	}
	if out == "-" {
		return write(stdout)
	}
	return shard.Replace(out, 0o644, func(f io.Writer) error {
		if !gz {
			return write(f)
		}
		z := gzip.NewWriter(f)
		if err := write(z); err != nil {
			return err
		}
		return z.Close()
	})
}

// csvToJSONL writes one object a row: the id as text, every other cell as a number, or null where it is empty.
func csvToJSONL(w io.Writer, in io.Reader) error {
	r := csv.NewReader(bufio.NewReaderSize(in, 1<<16))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return err
	}
	keys := make([][]byte, len(head))
	for i, h := range head {
		if keys[i], err = quoted(h); err != nil {
			return err
		}
	}
	out := bufio.NewWriterSize(w, 1<<16)
	for {
		row, err := r.Read()
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		for i, cell := range row {
			value := []byte(cell)
			if i == 0 {
				value, err = quoted(cell)
			} else if cell == "" {
				value = []byte("null")
			}
			if err != nil {
				return err
			}
			out.WriteByte("{,"[min(i, 1)])
			out.Write(keys[i])
			out.WriteByte(':')
			out.Write(value)
		}
		out.WriteString("}\n")
	}
}

// quoted is a JSON string, with <, > and & as they are.
func quoted(s string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
