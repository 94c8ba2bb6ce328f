package html

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Text has a contrast of 4.5 to what it stands on, marks of 3 (WCAG 2.1, success criteria 1.4.3 and 1.4.11, level AA), in light
// and in dark.
func TestContrast(t *testing.T) {
	light := colours(style[:strings.Index(style, "@media")])
	dark := colours(style[strings.Index(style, "prefers-color-scheme:dark"):])
	for name, c := range map[string]map[string][3]float64{"light": light, "dark": dark} {
		hold := func(least float64, front, back string) {
			t.Helper()
			if r := contrast(c[front], c[back]); !(r >= least) {
				t.Errorf("%s: --%s on --%s: %.2f, at least %g", name, front, back, r, least)
			}
		}
		for _, back := range []string{"paper", "canvas", "soft"} {
			hold(4.5, "ink", back)
			hold(4.5, "muted", back)
		}
		for _, text := range []string{"faint", "s1", "s2", "s3", "s4"} {
			hold(4.5, text, "paper")
		}
		hold(4.5, "faint", "canvas") // the footer
		hold(4.5, "faint", "soft")   // options
		hold(4.5, "paper", "s1")     // chips of shared findings
		for _, pill := range []string{"good", "bad", "warn"} {
			hold(4.5, pill, pill+"bg")
		}
		hold(3, "uncertain", "paper")
		for share := 0.0; share <= 1; share += .01 { // numbers in the cells of heat maps
			if r := contrast(c["ink"], blend(c["s1"], c["paper"], heatOpacity(share))); r < 4.5 {
				t.Errorf("%s: a cell of %.2f: %.2f, at least 4.5", name, share, r)
			}
		}
	}
}

// Every figure says in words what it is, every image what it shows, and whatever scrolls is reached by keyboard.
func TestTextAlternatives(t *testing.T) {
	page := render(t, full())
	for _, c := range []struct{ tag, needs string }{{`<svg [^>]*>`, `role="img" aria-label="[^"]+"`}, {`<img [^>]*>`, `alt="[^"]+"`}, {`<div class="scroll"[^>]*>`, `tabindex="0"`}} {
		all := regexp.MustCompile(c.tag).FindAllString(page, -1)
		if len(all) == 0 {
			t.Errorf("no %s", c.tag)
		}
		for _, tag := range all {
			if !regexp.MustCompile(c.needs).MatchString(tag) {
				t.Errorf("%.120s has no %s", tag, c.needs)
			}
		}
	}
	if strings.Contains(style, "outline:0") || strings.Contains(style, "outline:none") || !strings.Contains(style, ":focus-visible{outline:2px") {
		t.Error("focus is not to be seen")
	}
}

var colour = regexp.MustCompile(`--([a-z0-9]+):#([0-9a-f]{3,6});`)

func colours(css string) map[string][3]float64 {
	all := map[string][3]float64{}
	for _, m := range colour.FindAllStringSubmatch(css[:strings.Index(css, "}")], -1) {
		hex := m[2]
		if len(hex) == 3 {
			hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
		}
		var rgb [3]float64
		for i := range rgb {
			v, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
			rgb[i] = float64(v) / 255
		}
		all[m[1]] = rgb
	}
	return all
}

func blend(front, back [3]float64, opacity float64) (out [3]float64) {
	for i := range out {
		out[i] = opacity*front[i] + (1-opacity)*back[i]
	}
	return out
}

// contrast is the ratio of relative luminances, as WCAG 2.1 defines both.
func contrast(a, b [3]float64) float64 {
	of := func(c [3]float64) float64 {
		var l float64
		for i, weight := range []float64{.2126, .7152, .0722} {
			v := c[i]
			if v <= .04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+.055)/1.055, 2.4)
			}
			l += weight * v
		}
		return l
	}
	x, y := of(a), of(b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}
