package table

import "bytes"

// span is one field in a window. A quoted one excludes its quotes and may hold doubled quotes and line ends.
type span struct {
	from, to int
	quoted   bool
}

// parsed says what parseRecord found at the start of a window.
type parsed struct {
	n, lines      int    // bytes and line ends of the record; zero on failure, when only its first line is sure
	class, reason string // "": a record
	more          bool   // the window ends too early to say
	opened        bool   // the failure is in a quoted field that was opened properly after a whole field
	multi         bool   // the failure was found beyond the record's first line
}

// parseRecord finds the fields of the CSV record that starts b: RFC 4180, read as encoding/csv reads it, so that a line
// ends with LF or CRLF and CRLF within quotes counts as LF. At eof the end of b ends the record.
func parseRecord(b []byte, eof bool, spans []span) ([]span, parsed) {
	pos, lines := 0, 0
	eol := lineEnd(b, 0, eof)
	for {
		if pos < len(b) && b[pos] == '"' {
			to := closing(b, pos+1)
			if to < 0 || to-pos > maxField {
				return spans, unclosed(b, pos, eof, len(spans) > 0, lines)
			}
			spans = append(spans, span{pos + 1, to, true})
			lines += bytes.Count(b[pos:to], newline)
			if eol < to {
				eol = lineEnd(b, to, eof)
			}
			pos = to + 1
			switch {
			case pos < len(b) && b[pos] == ',':
				pos++
				continue
			case eol < 0:
				return spans, parsed{more: true}
			case pos >= textEnd(b, eol):
				return spans, whole(b, eol, lines)
			}
			return spans, parsed{class: "quote", reason: "text after a closing quote, or a quote that is not doubled",
				opened: len(spans) > 1, multi: lines > 0}
		}
		to := bytes.IndexByte(upTo(b, eol)[pos:], ',') + pos
		last := to < pos
		if last {
			to = max(pos, textEnd(b, len(upTo(b, eol))))
		}
		switch {
		case to-pos > maxField:
			return spans, parsed{class: "too-long", reason: "a field is over 1 MiB", multi: lines > 0}
		case last && eol < 0:
			return spans, parsed{more: true}
		}
		if bytes.IndexByte(b[pos:to], '"') >= 0 {
			return spans, parsed{class: "quote", reason: "a quote inside a field that does not start with one", multi: lines > 0}
		}
		spans = append(spans, span{pos, to, false})
		if last {
			return spans, whole(b, eol, lines)
		}
		pos = to + 1
	}
}

var newline = []byte{'\n'}

// lineEnd is where the physical line that holds pos ends: at its LF, at the end of the file, or -1 (not in the window).
func lineEnd(b []byte, pos int, eof bool) int {
	if i := bytes.IndexByte(b[pos:], '\n'); i >= 0 {
		return pos + i
	}
	if eof {
		return len(b)
	}
	return -1
}

// upTo is the physical line's part of b, or all that is there.
func upTo(b []byte, eol int) []byte {
	if eol < 0 {
		return b
	}
	return b[:eol]
}

// textEnd leaves out the CR of a CRLF, or one that ends the file.
func textEnd(b []byte, eol int) int {
	if eol > 0 && b[eol-1] == '\r' {
		return eol - 1
	}
	return eol
}

// whole is a record up to and with the line end at eol.
func whole(b []byte, eol, lines int) parsed {
	if eol < len(b) {
		return parsed{n: eol + 1, lines: lines + 1}
	}
	return parsed{n: eol, lines: lines}
}

// closing is the place of the quote that ends the field whose text starts at from, or -1.
func closing(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '"')
		if i < 0 || from+i+1 == len(b) || b[from+i+1] != '"' {
			if i >= 0 {
				i += from
			}
			return i
		}
		from += i + 2
	}
}

// unclosed judges a quoted field, opened at pos, that has no end in the window or is too long.
func unclosed(b []byte, pos int, eof, second bool, lines int) parsed {
	start := b[pos:min(len(b), pos+maxField+1)] // no more, so that the verdict does not hang on the window
	multi := lines > 0 || bytes.IndexByte(start, '\n') >= 0
	switch {
	case len(start) > maxField && !multi:
		return parsed{class: "too-long", reason: "a field is over 1 MiB"}
	case len(start) > maxField:
		return parsed{class: "quote", reason: "a quoted field does not end within 1 MiB", opened: second, multi: true}
	case eof:
		return parsed{class: "quote", reason: "a quoted field does not end", opened: second, multi: multi}
	}
	return parsed{more: true}
}
