package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// jsonSource reads one JSON object a line. Numbers and truth values are taken as they are written, null and a key that
// is not there as "".
type jsonSource struct {
	*window
	path   string
	names  []string // the wanted keys
	cols   layout   // into names
	values []string
	closer func() error
}

// sparse is how many rows may lack a key before it counts as missing.
const sparse = 100

// header places the columns: each must be a key of one of the first rows.
func (s *jsonSource) header(c Columns) (err error) {
	if err := s.more(); err != nil {
		return fmt.Errorf("table: %s: %w", s.path, err)
	}
	if bytes.HasPrefix(s.bytes(), []byte("\xef\xbb\xbf")) {
		s.take(3, 0)
	}
	if s.lo == s.hi {
		return fmt.Errorf("table: %s: the file is empty", s.path)
	}
	s.names = c.names()
	s.values = make([]string, len(s.names))
	s.begin([]byte(fmt.Sprintf("%q\n", s.names)))
	if s.cols, err = c.find(s.path, s.line, s.names); err != nil {
		return err
	}
	keys := s.firstKeys()
	for _, n := range s.names {
		if len(keys) > 0 && !slices.Contains(keys, n) {
			return missing(s.path, s.line, n, keys)
		}
	}
	return nil
}

// firstKeys collects the keys of the rows at the start of the window, taking none.
func (s *jsonSource) firstKeys() (keys []string) {
	b := s.bytes()
	for range sparse {
		line, rest, _ := bytes.Cut(b, newline)
		var object map[string]json.RawMessage
		if json.Unmarshal(line, &object) == nil {
			for k := range object {
				keys = append(keys, k)
			}
		}
		if b = rest; len(b) == 0 {
			break
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (s *jsonSource) next(row *Row) (*BadRow, error) {
	for {
		number := s.line
		b := s.bytes()
		end := lineEnd(b, 0, s.eof)
		if end < 0 {
			switch err := s.more(); {
			case err == errFull:
				return &BadRow{number, "too-long", "the row is over 4 MiB"}, s.skipLine()
			case err != nil:
				return nil, fmt.Errorf("table: %s: after line %d: %w", s.path, number, err)
			}
			continue
		}
		if len(b) == 0 {
			return nil, io.EOF
		}
		line := bytes.TrimSpace(b[:end])
		p := whole(b, end, 0)
		if len(line) == 0 {
			s.ignore(p.n, p.lines)
			continue
		}
		s.take(p.n, p.lines)
		if row == nil {
			return nil, nil
		}
		if class, reason := s.decode(line); class != "" {
			return &BadRow{number, class, reason}, nil
		}
		s.cols.fill(row, func(i int) string { return s.values[i] })
		row.Line = number
		return nil, nil
	}
}

// decode puts the wanted values of one object into s.values.
func (s *jsonSource) decode(line []byte) (class, reason string) {
	if !utf8.Valid(line) {
		return "utf8", "not UTF-8"
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil || object == nil {
		return "json", "not one JSON object"
	}
	for i, n := range s.names {
		raw := object[n]
		s.values[i] = ""
		switch {
		case len(raw) > maxField:
			return "too-long", fmt.Sprintf("the value of %q is over 1 MiB", n)
		case len(raw) == 0 || raw[0] == 'n':
		case raw[0] == '"':
			json.Unmarshal(raw, &s.values[i]) // checked with its object
		case raw[0] == '{' || raw[0] == '[':
			return "type", fmt.Sprintf("the value of %q is no text", n)
		default:
			s.values[i] = string(raw)
		}
		if bytes.Contains(raw, []byte(`\u0000`)) {
			return "nul", "a NUL byte"
		}
	}
	if s.values[s.cols.study] == "" {
		return "no-id", "the id is empty"
	}
	return "", ""
}

func (s *jsonSource) close() { s.closer() }
