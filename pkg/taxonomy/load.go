package taxonomy

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed *.yaml
var shipped embed.FS

// Default is the name of the taxonomy that is used when none is named.
const Default = "ctrate-18"

// maxBytes bounds a taxonomy file; real ones have a few kilobytes.
const maxBytes = 1 << 20

// Shipped lists the taxonomies that come with the program.
func Shipped() []string { return []string{Default, "radchestct-16", "abdomen-12"} }

// Load reads a taxonomy: "" and the names in Shipped are embedded, anything else is a YAML file.
//
// Decoding is strict. Errors carry file:line, and the finding and key where there is one; all problems of a file that
// parses are reported at once. Missing prompts and definitions are filled in from the finding's name.
func Load(nameOrFile string) (*Taxonomy, error) {
	if nameOrFile == "" {
		nameOrFile = Default
	}
	if slices.Contains(Shipped(), nameOrFile) {
		text, err := shipped.ReadFile(nameOrFile + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("taxonomy: %w", err)
		}
		return Parse(nameOrFile, text)
	}
	f, err := os.Open(nameOrFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("taxonomy: %q is neither a file nor one of %s", nameOrFile, strings.Join(Shipped(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("taxonomy: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("taxonomy: %w", err)
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("taxonomy: %s: more than %d bytes", nameOrFile, maxBytes)
	}
	return Parse(nameOrFile, text)
}

// Parse is Load for a text at hand; file names it in errors.
func Parse(file string, text []byte) (*Taxonomy, error) {
	var t Taxonomy
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&t); err != nil {
		return nil, syntaxError(file, err)
	}
	if problems := t.problems(func(path string) string { return at(file, text, path) }); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	for i := range t.Findings {
		t.Findings[i].fill()
	}
	return &t, nil
}

// syntaxError turns the parser's excerpt into one line, file:line:column: message.
func syntaxError(file string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("taxonomy: %s:1: the file is empty", file)
	}
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		p := y.GetToken().Position
		return fmt.Errorf("taxonomy: %s:%d:%d: %s", file, p.Line, p.Column, y.GetMessage())
	}
	return fmt.Errorf("taxonomy: %s: %w", file, err)
}

// at is "file:line" of a YAML path, or the file alone when the path has no node.
func at(file string, text []byte, path string) string {
	p, err := yaml.PathString(path)
	if err != nil {
		return file
	}
	node, err := p.ReadNode(bytes.NewReader(text))
	if err != nil || node == nil || node.GetToken() == nil {
		return file
	}
	return fmt.Sprintf("%s:%d", file, node.GetToken().Position.Line)
}

// problems lists what is wrong with a decoded taxonomy; where turns a YAML path into a place.
func (t *Taxonomy) problems(where func(path string) string) (found []error) {
	say := func(path, format string, a ...any) {
		found = append(found, fmt.Errorf("taxonomy: %s: %s", where(path), fmt.Sprintf(format, a...)))
	}
	if strings.TrimSpace(t.Name) == "" {
		say("$", "name is missing")
	}
	if len(t.Findings) == 0 {
		say("$", "findings is empty: at least one is needed")
	}
	first := map[string]int{}
	for i, f := range t.Findings {
		key := strings.ToLower(f.Name)
		path := fmt.Sprintf("$.findings[%d]", i)
		switch earlier, twice := first[key]; {
		case f.Name == "" || f.Name != strings.Join(strings.Fields(f.Name), " "):
			say(path, "finding %d: finding must be a name on one line without outer or double blanks", i+1)
		case key == "id" || key == "report":
			say(path+".finding", "finding %d: %q is the name of another column", i+1, f.Name)
		case twice:
			say(path+".finding", "finding %q is also finding %d", f.Name, earlier+1)
		}
		first[key] = i
	}
	for i, f := range t.Findings {
		path := fmt.Sprintf("$.findings[%d]", i)
		checkPhrases(f.Name, "synonyms", f.Synonyms, path, say)
		checkPhrases(f.Name, "exclusions", f.Exclusions, path, say)
		for j, other := range f.Implies {
			if k := t.Index(other); k < 0 || k == i {
				say(fmt.Sprintf("%s.implies[%d]", path, j), "finding %q: implies: %q is not another finding of this file", f.Name, other)
			}
		}
	}
	return found
}

func checkPhrases(finding, key string, phrases []string, path string, say func(path, format string, a ...any)) {
	for j, s := range phrases {
		if !strings.ContainsFunc(s, isWordRune) {
			say(fmt.Sprintf("%s.%s[%d]", path, key, j), "finding %q: %s: entry %d has no letter or digit", finding, key, j+1)
		}
	}
}

func isWordRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127
}

// fill supplies what was left out and puts the name where a prompt says {finding}.
// The prompt wording is that of CT-CLIP's zero-shot evaluation (Hamamci et al., arXiv 2403.17834).
func (f *Finding) fill() {
	if strings.TrimSpace(f.Definition) == "" {
		f.Definition = "The report states that " + f.Name + " is present."
	}
	if f.Positive == "" {
		f.Positive = "{finding} is present."
	}
	if f.Negative == "" {
		f.Negative = "{finding} is not present."
	}
	f.Definition = strings.Join(strings.Fields(f.Definition), " ")
	f.Positive = strings.ReplaceAll(f.Positive, "{finding}", f.Name)
	f.Negative = strings.ReplaceAll(f.Negative, "{finding}", f.Name)
}
