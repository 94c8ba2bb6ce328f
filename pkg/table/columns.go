package table

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// layout holds the position of each wanted column; -1: not wanted.
type layout struct {
	study, patient, volume, split int
	report, extra                 []int
}

// find places the columns in a header, or says which one is missing and what comes near.
func (c Columns) find(path string, line int64, header []string) (l layout, err error) {
	unnamed := c.Study == "" && len(header) > 0 && header[0] == "" // pandas writes its index so
	if c.Study == "" && !unnamed {
		return l, fmt.Errorf("table: %s: no column is named for the study's id", path)
	}
	at := func(name string) int {
		if name == "" {
			return -1
		}
		i := slices.Index(header, name)
		if i < 0 && err == nil {
			err = missing(path, line, name, header)
		}
		if i >= 0 && slices.Contains(header[i+1:], name) && err == nil {
			err = fmt.Errorf("table: %s:%d: column %q appears more than once", path, line, name)
		}
		return i
	}
	l = layout{study: at(c.Study), patient: at(c.Patient), volume: at(c.Volume), split: at(c.Split)}
	if unnamed {
		l.study = 0
	}
	for _, n := range c.Report {
		l.report = append(l.report, at(n))
	}
	for _, n := range c.Extra {
		l.extra = append(l.extra, at(n))
	}
	return l, err
}

// missing names no column but one that is much like name: a file without a header has reports in that place.
func missing(path string, line int64, name string, header []string) error {
	if near := nearest(name, header); near != "" {
		return fmt.Errorf("table: %s:%d: no column %q; the nearest is %q", path, line, name, near)
	}
	return fmt.Errorf("table: %s:%d: no column %q among the header's %d", path, line, name, len(header))
}

// fill sets row from a function that gives the text of the column at a position.
func (l *layout) fill(row *Row, text func(i int) string) {
	opt := func(i int) string {
		if i < 0 {
			return ""
		}
		return text(i)
	}
	row.ID, row.Patient, row.Volume, row.Split = opt(l.study), opt(l.patient), opt(l.volume), opt(l.split)
	row.Report = joined(l.report, text)
	for _, i := range l.extra {
		row.Extra = append(row.Extra, text(i))
	}
}

// joined is the report: the columns that say something, one below the other. CT-RATE writes "Not given." into a
// section without text.
func joined(cols []int, text func(i int) string) (report string) {
	for _, i := range cols {
		t := text(i)
		switch says := strings.TrimSpace(t); {
		case says == "" || says == "Not given.":
		case report == "":
			report = t
		default:
			report += "\n" + t
		}
	}
	return report
}

// unfit says what keeps a value or row from being text.
func unfit(b []byte) (class, reason string) {
	switch {
	case len(b) > maxField:
		return "too-long", "a field is over 1 MiB"
	case bytes.IndexByte(b, 0) >= 0:
		return "nul", "a NUL byte"
	case !utf8.Valid(b):
		return "utf8", "not UTF-8"
	}
	return "", ""
}

// nearest is the name at the smallest edit distance, case ignored, of those that differ in a third of the letters at most
// or have a few letters more, as Report_EN; "" if there is none. Ties go to the first.
func nearest(name string, among []string) (best string) {
	least := 1 << 30
	for _, a := range among {
		x, y := strings.ToLower(name), strings.ToLower(a)
		d := distance(x, y)
		if near := d <= len(x)/3 || strings.Contains(y, x) && len(y) <= len(x)+4; near && d < least {
			best, least = a, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
