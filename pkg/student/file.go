package student

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"
)

// Format names the file format; another version has another name.
const Format = "silverbeam-student-1"

// Bounds of a file; a student of 18 findings has some 300 kB.
const (
	maxBytes   = 32 << 20
	maxFeature = 1 << 10 // bytes
	maxWeight  = 1e4
)

// envelope is the whole file. Digest is the hex SHA-256 of the bytes of Student.
type envelope struct {
	Format  string          `json:"format"`
	Digest  string          `json:"sha256"`
	Student json.RawMessage `json:"student"`
}

// file is a student's content.
type file struct {
	Made     Made      `json:"made"`
	Blend    []float64 `json:"blend"` // weights of blendInput, then the intercept
	Findings []finding `json:"findings"`
}

type finding struct {
	Name      string             `json:"finding"`
	Overrules bool               `json:"overrules"` // whether it may take the other side than the rules
	Intercept float64            `json:"intercept"`
	Weights   map[string]float64 `json:"weights"` // by feature
}

// Write writes the student's file. It holds no time and no path: the same student has the same bytes.
func (s *Student) Write(w io.Writer) error {
	p, err := encode(envelope{Format, s.digest, s.content})
	if err == nil {
		_, err = w.Write(append(p, '\n'))
	}
	return err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Open reads a student's file, which must have been made for these findings and by these rules.
func Open(path string, t *taxonomy.Taxonomy, l *rules.Labeler) (*Student, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("student: %w", err)
	}
	defer f.Close()
	s, err := Read(f, t, l)
	if err != nil {
		return nil, fmt.Errorf("student: %s: %w", path, err)
	}
	return s, nil
}

// Read is Open on a file's bytes. It reads no more than 32 MiB.
func Read(r io.Reader, t *taxonomy.Taxonomy, l *rules.Labeler) (*Student, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxBytes {
		return nil, errors.New("more than 32 MiB: not a student")
	}
	var e envelope
	if err := decode(text, &e); err != nil {
		return nil, fmt.Errorf("not a student, or cut short: %w", err)
	}
	if e.Format != Format {
		return nil, fmt.Errorf("its format is %.40q, not %q", e.Format, Format)
	}
	if fmt.Sprintf("%x", sha256.Sum256(e.Student)) != e.Digest {
		return nil, errors.New("damaged: its content does not have its digest")
	}
	var f file
	if err := decode(e.Student, &f); err != nil {
		return nil, fmt.Errorf("not a student's content: %w", err)
	}
	return f.student(t, l)
}

// decode takes one value and nothing else. Its errors hold none of the text.
func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("byte %d: a value of the wrong kind", wrong.Offset)
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d: no JSON", syntax.Offset)
	case err != nil:
		return errors.New("no JSON object with the keys of one")
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows it")
	}
	return nil
}

// student checks the content and makes it ready to label.
func (f *file) student(t *taxonomy.Taxonomy, l *rules.Labeler) (*Student, error) {
	if err := f.check(t, l); err != nil {
		return nil, err
	}
	content, err := encode(f)
	if err != nil {
		return nil, err
	}
	s := &Student{made: f.Made, content: content, digest: fmt.Sprintf("%x", sha256.Sum256(content)), rules: l, implies: implications(t),
		blend: blend{Logistic: metrics.Logistic{Coef: f.Blend[:blendInputs], Intercept: f.Blend[blendInputs]}}, place: map[hash]int32{}}
	for i, x := range f.Findings {
		s.start, s.blend.overrules = append(s.start, x.Intercept), append(s.blend.overrules, x.Overrules)
		for text, w := range x.Weights {
			s.add(textHash(text), weight{i, w})
		}
	}
	return s, nil
}

func (s *Student) add(h hash, w weight) {
	at, known := s.place[h]
	if !known {
		at = int32(len(s.weights))
		s.place[h], s.weights = at, append(s.weights, nil)
		s.sparse[h>>54] |= 1 << (h >> 48 & 63)
	}
	s.weights[at] = append(s.weights[at], w)
}

// check names the first thing that keeps the content from labelling this taxonomy's reports as it was measured.
func (f *file) check(t *taxonomy.Taxonomy, l *rules.Labeler) error {
	var names []string
	for _, x := range f.Findings {
		names = append(names, x.Name)
	}
	switch {
	case !slices.Equal(names, t.Names()):
		return fmt.Errorf("it was fitted to other findings than those of %s", t.Name)
	case f.Made.Taxonomy != t.Digest():
		return fmt.Errorf("it was fitted to another version of %s: fit it again", t.Name)
	case f.Made.Rules != l.Version():
		return fmt.Errorf("it was fitted beside other rules (%.80q; here %s): fit it again", f.Made.Rules, l.Version())
	case len(f.Made.Figures) != len(names) || len(f.Blend) != blendInputs+1:
		return errors.New("it has too few or too many figures")
	case !(f.Made.Doubt > 0 && f.Made.Doubt <= 0.5):
		return errors.New("its doubt is not a number above 0 and up to 0.5")
	}
	for _, x := range f.Findings {
		if !small(x.Intercept) {
			return fmt.Errorf("%s: the intercept is out of bounds", x.Name)
		}
		for text, w := range x.Weights {
			if len(text) > maxFeature || len(text) < 3 || text[:2] != wordKind && text[:2] != charKind || !small(w) {
				return fmt.Errorf("%s: a weight is out of bounds or of no feature", x.Name)
			}
		}
	}
	if slices.ContainsFunc(f.Blend, func(x float64) bool { return !small(x) }) {
		return errors.New("the blend is out of bounds")
	}
	return nil
}

func small(x float64) bool { return math.Abs(x) <= maxWeight }
