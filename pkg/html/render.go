package html

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
)

// MaxBytes bounds a page; gallery queries are left out, last first, until it fits.
const MaxBytes = 6_000_000

//go:embed tmpl/*.html
var templates embed.FS

//go:embed tmpl/style.css
var style string

// script sorts tables by a column; without it they stand as they are.
//
//go:embed sort.js
var script string

var layout = template.Must(template.New("page.html").Funcs(functions).ParseFS(templates, "tmpl/*.html"))

// view is what the templates see.
type view struct {
	*Page
	Sections    []section
	Style       template.CSS
	Script      template.JS
	Nonce       string // of this page's script
	Policy      string
	Queries     []Query // of the gallery that fit
	QueriesLeft int
	ReportText  bool
	Heat        template.HTML
	Table       *table // of Classification
}

type section struct{ ID, Name string }

// Render writes the page. It fails on data that cannot be drawn (a co-occurrence table that is not square, an image that
// is not inline), on a page that is too large even without its gallery, and on w's errors; it writes nothing before it
// knows.
func Render(w io.Writer, p *Page) error {
	content, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("html: %w", err)
	}
	sum := sha256.Sum256(content) // the same page, the same bytes; none of its strings knows it
	v := view{Page: p, Style: template.CSS(style), Script: template.JS(script), Nonce: base64.RawURLEncoding.EncodeToString(sum[:18])}
	v.Policy = policy() + "; script-src 'nonce-" + v.Nonce + "'"
	if err := v.prepare(); err != nil {
		return err
	}
	for {
		var b bytes.Buffer
		v.Sections = v.sections()
		if err := layout.Execute(&b, v); err != nil {
			return fmt.Errorf("html: %w", err)
		}
		if b.Len() <= MaxBytes {
			_, err := w.Write(b.Bytes())
			return err
		}
		if len(v.Queries) == 0 {
			return fmt.Errorf("html: page of %d bytes, at most %d", b.Len(), MaxBytes)
		}
		left := len(v.Queries) / 2
		v.QueriesLeft += len(v.Queries) - left
		v.Queries = v.Queries[:left]
	}
}

func (v *view) prepare() (err error) {
	if v.Gallery != nil {
		if v.Queries, v.QueriesLeft, err = v.Gallery.trim(); err != nil {
			return err
		}
		for _, q := range v.Gallery.Queries {
			v.ReportText = v.ReportText || q.ReportText != ""
		}
	}
	for _, e := range v.Examples {
		if _, err := e.Images.size(); err != nil {
			return fmt.Errorf("html: example %s: %w", e.Volume, err)
		}
	}
	if v.Scans != nil {
		for _, e := range v.Scans.Examples {
			if _, err := e.Images.size(); err != nil {
				return fmt.Errorf("html: example %s: %w", e.Volume, err)
			}
		}
	}
	if v.CoOccurrence != nil {
		if v.Heat, err = v.CoOccurrence.heat(); err != nil {
			return err
		}
	}
	if v.Classification != nil {
		v.Table = v.Classification.table()
	}
	return nil
}

// policy allows this style sheet and inline images, nothing else: no network, no frame, no form. A page adds its own script.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

func (v *view) sections() (s []section) {
	for _, x := range []struct {
		there bool
		section
	}{
		{v.Flow != nil, section{"flow", "Sample flow"}},
		{v.Scans != nil, section{"scans", "Scans"}},
		{v.Labels != nil, section{"labels", "Labels"}},
		{v.CoOccurrence != nil, section{"together", "Co-occurrence"}},
		{len(v.Training) > 0, section{"training", "Training"}},
		{v.Classification != nil, section{"classification", "Classification"}},
		{len(v.Corrected) > 0, section{"corrected", "Corrected figures"}},
		{len(v.Published) > 0, section{"published", "Published arithmetic"}},
		{len(v.Curves) > 0, section{"curves", "Precision and calibration"}},
		{len(v.Subgroups) > 0, section{"subgroups", "Subgroups"}},
		{len(v.Examples) > 0, section{"examples", "Zero-shot examples"}},
		{v.Retrieval != nil, section{"retrieval", "Retrieval"}},
		{v.Gallery != nil, section{"gallery", "Gallery"}},
		{v.Cost != nil, section{"cost", "Cost"}},
		{v.Cost != nil, section{"egress", "Egress"}},
		{v.Rejects != nil, section{"rejects", "Rejects"}},
		{v.Provenance != nil, section{"provenance", "Provenance"}},
		{len(v.Checklists) > 0, section{"checklists", "Reporting checklists"}},
	} {
		if x.there {
			s = append(s, x.section)
		}
	}
	return s
}
