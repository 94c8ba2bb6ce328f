package table

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// csvSource reads CSV rows.
//
// A row that breaks the grammar within its first line ends with that line. One that breaks it later (an unclosed quote,
// mostly) has an unsure end: the next row is then the next line that starts a whole row with the right number of fields
// and an id that looks like one, or that opens a broken quoted field of its own.
type csvSource struct {
	*window
	path   string
	fields int // the header's
	cols   layout
	spans  []span
	closer func() error
}

// header reads the first record, which the window must start with, and places the columns.
func (s *csvSource) header(c Columns) error {
	if err := s.skipBOM(); err != nil {
		return err
	}
	for {
		line := s.line
		p, err := s.parse()
		switch {
		case err == io.EOF:
			return fmt.Errorf("table: %s: the file is empty", s.path)
		case err != nil:
			return err
		case s.blank(p):
			s.take(p.n, p.lines)
			continue
		}
		if p.class == "" {
			s.fields = len(s.spans)
			p.class, p.reason = s.check(p)
		}
		if p.class != "" {
			return fmt.Errorf("table: %s:%d: the header is not CSV: %s", s.path, line, p.reason)
		}
		names := make([]string, len(s.spans))
		for i := range names {
			names[i] = s.text(i)
		}
		if s.cols, err = c.find(s.path, line, names); err != nil {
			return err
		}
		raw := s.bytes()[:p.n]
		s.take(p.n, p.lines)
		s.begin(raw)
		return nil
	}
}

// skipBOM also names the encodings that are not read.
func (s *csvSource) skipBOM() error {
	if err := s.more(); err != nil {
		return fmt.Errorf("table: %s: %w", s.path, err)
	}
	b := s.bytes()
	if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		s.take(3, 0)
	}
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return fmt.Errorf("table: %s: the file is UTF-16; it must be UTF-8", s.path)
	}
	return nil
}

func (s *csvSource) next(row *Row) (*BadRow, error) {
	for {
		line := s.line
		p, err := s.parse()
		switch {
		case err != nil:
			return nil, err
		case p.class != "":
			return &BadRow{line, p.class, p.reason}, s.resync(p)
		case s.blank(p):
			s.ignore(p.n, p.lines)
			continue
		}
		p.class, p.reason = s.check(p)
		if id := s.cols.study; p.class == "" && s.spans[id].from == s.spans[id].to {
			p.class, p.reason = "no-id", "the id is empty"
		}
		if p.class == "" && row != nil {
			s.cols.fill(row, s.text)
			row.Line = line
		}
		s.take(p.n, p.lines)
		if p.class != "" {
			return &BadRow{line, p.class, p.reason}, nil
		}
		return nil, nil
	}
}

// parse looks at the next record, reading on as needed. It returns io.EOF at the end of the file.
func (s *csvSource) parse() (p parsed, err error) {
	for {
		if s.lo == s.hi && s.eof {
			return p, io.EOF
		}
		s.spans, p = parseRecord(s.bytes(), s.eof, s.spans[:0])
		if !p.more {
			return p, nil
		}
		switch err := s.more(); {
		case err == errFull:
			multi := bytes.IndexByte(s.bytes(), '\n') >= 0
			return parsed{class: "too-long", reason: "the row is over 4 MiB", multi: multi}, nil
		case err != nil:
			return p, fmt.Errorf("table: %s: after line %d: %w", s.path, s.line, err)
		}
	}
}

// blank says whether the record is an empty line, which is no row.
func (s *csvSource) blank(p parsed) bool {
	return p.class == "" && len(s.spans) == 1 && !s.spans[0].quoted && s.spans[0].to == s.spans[0].from
}

// check looks for what the grammar allows and a row must not have.
func (s *csvSource) check(p parsed) (class, reason string) {
	b := s.bytes()[:p.n]
	switch {
	case len(s.spans) != s.fields:
		return "fields", fmt.Sprintf("%d fields, the header has %d", len(s.spans), s.fields)
	case bytes.IndexByte(b, 0) >= 0:
		return "nul", "a NUL byte"
	case !utf8.Valid(b):
		return "utf8", "not UTF-8"
	}
	return "", ""
}

// resync passes over the broken row p and whatever cannot start the next one.
func (s *csvSource) resync(p parsed) error {
	if err := s.skipLine(); err != nil || !p.multi {
		return s.named(err)
	}
	for {
		p, err := s.parse()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if p.class == "" && !s.blank(p) && s.plausible(p) || p.opened && s.idLike() {
			return nil
		}
		if err := s.skipLine(); err != nil {
			return s.named(err)
		}
	}
}

func (s *csvSource) named(err error) error {
	if err != nil {
		err = fmt.Errorf("table: %s: after line %d: %w", s.path, s.line, err)
	}
	return err
}

// plausible tells a row from a line of running text that happens to have the right number of commas.
func (s *csvSource) plausible(p parsed) bool {
	if class, _ := s.check(p); class != "" {
		return false
	}
	for _, f := range s.spans {
		if f.quoted {
			return true
		}
	}
	return s.idLike()
}

// idLike says whether the id, as far as it was read, has no white space.
func (s *csvSource) idLike() bool {
	if s.cols.study >= len(s.spans) {
		return true
	}
	f := s.spans[s.cols.study]
	return f.to > f.from && !bytes.ContainsAny(s.bytes()[f.from:f.to], " \t\n")
}

// text is the i-th field of the record just parsed.
func (s *csvSource) text(i int) string {
	f := s.spans[i]
	b := s.bytes()[f.from:f.to]
	if !f.quoted || bytes.IndexByte(b, '"') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return string(b)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(b), `""`, `"`), "\r\n", "\n")
}

func (s *csvSource) close() { s.closer() }
