package html

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"html"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var keep = flag.String("page", "", "write the full example page to this file, to look at")

func render(t *testing.T, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFullPage(t *testing.T) {
	page := render(t, full())
	if *keep != "" {
		if err := os.WriteFile(*keep, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d bytes", len(page))
	if len(page) > MaxBytes {
		t.Errorf("%d bytes, at most %d", len(page), MaxBytes)
	}
	for _, id := range []string{"flow", "scans", "labels", "together", "training", "classification", "corrected", "published", "curves", "subgroups", "examples", "retrieval", "gallery", "cost", "egress", "rejects", "provenance", "checklists"} {
		if strings.Count(page, `id="`+id+`"`) != 1 || !strings.Contains(page, `href="#`+id+`"`) {
			t.Errorf("section %s is missing or not in the navigation", id)
		}
	}
	for _, want := range []string{"undefined: one class", "undefined: no positive", "$0.0412075", "not mentioned", "same study", "same patient", "goal ≥ 0.650 met", "≈ $0.064792"} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	page = regexp.MustCompile(`base64,[^"]*`).ReplaceAllString(page, "") // base64 spells anything
	if strings.Contains(page, "NaN") || strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "%!") {
		t.Error("page holds NaN, or something that a template refused")
	}
}

// The policy allows nothing but the page's own style sheet, by its digest, its one script, by its nonce, and inline images.
func TestPolicy(t *testing.T) {
	page := render(t, full())
	m := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("no policy")
	}
	policy := html.UnescapeString(m[1])
	sheet := page[strings.Index(page, "<style>")+7 : strings.Index(page, "</style>")]
	sum := sha256.Sum256([]byte(sheet))
	want := "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; script-src 'nonce-"
	nonce := regexp.MustCompile(`<script nonce="([A-Za-z0-9_-]{24})">`).FindStringSubmatch(page)
	if nonce == nil || strings.Count(page, "<script") != 1 {
		t.Fatal("the page wants one script, with a nonce")
	}
	want += nonce[1] + "'"
	if policy != want {
		t.Errorf("policy %s, want %s", policy, want)
	}
	for _, bad := range []string{"javascript:", " style=", " onload=", "http://", "https://", "url(", "@import", "<link", "<iframe"} {
		if strings.Contains(page, bad) {
			t.Errorf("page holds %q", bad)
		}
	}
}

func TestSameBytes(t *testing.T) {
	p := full()
	first := render(t, p)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again Page
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if render(t, &again) != first {
		t.Error("a page that went through JSON renders otherwise")
	}
}

// Whatever stands in any string of the page comes out as text.
func TestHostileStrings(t *testing.T) {
	const hostile = `<img src=x onerror=alert(1)>"'` + "`</style></svg></title><script>"
	p := full()
	poison(reflect.ValueOf(p), hostile)
	for i := range p.Gallery.Queries {
		clean(&p.Gallery.Queries[i])
	}
	for i := range p.Scans.Examples {
		p.Scans.Examples[i].Images = Images{}
	}
	for i := range p.Examples {
		p.Examples[i].Images = Images{}
	}
	page := render(t, p)
	for _, bad := range []string{"<img src=x", "<script>", "</svg></title>", "onerror=alert(1)>\"'"} {
		if strings.Contains(page, bad) {
			at := strings.Index(page, bad)
			t.Errorf("%q is not escaped: …%s", bad, page[max(0, at-120):at+40])
		}
	}
	if strings.Count(page, "</style>") != 1 || !strings.Contains(page, "&lt;img src=x") {
		t.Error("the hostile text is not there as text")
	}
}

// poison replaces every string below v.
func poison(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), s)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			poison(v.Field(i), s)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), s)
		}
	case reflect.String:
		v.SetString(s)
	}
}

func clean(q *Query) {
	q.Images = Images{}
	for i := range q.Results {
		q.Results[i].Images = Images{}
	}
}

func TestEmptyAndPartialPages(t *testing.T) {
	page := render(t, &Page{Title: "t"})
	if strings.Contains(page, "<section") || strings.Contains(page, "<nav") {
		t.Error("an empty page has sections")
	}
	for i := range reflect.TypeFor[Page]().NumField() {
		whole, part := reflect.ValueOf(full()).Elem(), &Page{Title: "t"}
		reflect.ValueOf(part).Elem().Field(i).Set(whole.Field(i))
		render(t, part)
		if f := reflect.ValueOf(part).Elem().Field(i); f.Kind() == reflect.Pointer { // a section without content
			f.Set(reflect.New(f.Type().Elem()))
			render(t, part)
		}
	}
}

func TestReportTextMarksThePage(t *testing.T) {
	const warning = "This page contains report text"
	p := full()
	if strings.Contains(render(t, p), warning) {
		t.Error("marked without report text")
	}
	p.Gallery.Queries[1].ReportText = "The heart is large."
	if !strings.Contains(render(t, p), warning) {
		t.Error("not marked")
	}
}

func TestLargeGalleriesAreCut(t *testing.T) {
	p := full()
	for len(p.Gallery.Queries) < 200 {
		p.Gallery.Queries = append(p.Gallery.Queries, p.Gallery.Queries[:4]...)
	}
	page := render(t, p)
	if len(page) > MaxBytes || !strings.Contains(page, "more left out to keep the page small") {
		t.Errorf("%d bytes", len(page))
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	p := full()
	p.Gallery.Queries[0].Images.Axial = "https://example.org/x.png"
	if err := Render(&bytes.Buffer{}, p); err == nil || strings.Contains(err.Error(), "example.org") {
		t.Errorf("an external image: %v", err)
	}
	p = full()
	p.Scans.Examples[0].Images.Coronal = "https://example.org/x.png"
	if err := Render(&bytes.Buffer{}, p); err == nil || strings.Contains(err.Error(), "example.org") {
		t.Errorf("an external example: %v", err)
	}
	p = full()
	p.CoOccurrence.Count[3] = p.CoOccurrence.Count[3][:2]
	if err := Render(&bytes.Buffer{}, p); err == nil {
		t.Error("a ragged co-occurrence table passes")
	}
	if err := Render(failing{}, full()); !errors.Is(err, errDisk) {
		t.Errorf("writer's error: %v", err)
	}
}

var errDisk = errors.New("disk full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errDisk }
