package rules

import (
	"bufio"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed data/*.tsv
var files embed.FS

// kind says what a row's match means.
type kind uint8

const (
	find     kind = iota // the finding is named
	unname               // looks like the finding and is not
	normal               // the finding's organ is called normal: absent
	deny                 // denies what follows: "no"
	denied               // denies what came before: "was not observed"
	near                 // denies the next few tokens only: "not", "non"
	pseudo               // holds a denial that denies nothing here: "no change in"
	maybe                // hedges what follows
	perhaps              // hedges what came before
	ask                  // what follows is a question, a plan or a condition
	unread               // what came before could not be assessed
	gone                 // what came before has gone: "has disappeared"
	goneOf               // what follows has gone: "resolution of"
	past                 // what follows is history
	pastBack             // what came before was so at an earlier examination only
	halt                 // ends scopes
	organ                // names an organ
	section              // a heading
)

var kindNames = map[string]kind{
	"find": find, "not": unname, "normal": normal, "deny": deny, "denied": denied, "near": near, "pseudo": pseudo,
	"maybe": maybe, "perhaps": perhaps, "ask": ask, "unread": unread, "gone": gone, "gone-of": goneOf,
	"past": past, "past-back": pastBack, "halt": halt, "organ": organ, "section": section,
}

// row is one rule as written in a data file.
type row struct {
	id      string
	kind    kind
	finding int16   // a unit, see Labeler.column; -1 for all
	organ   int16   // organ rows: which; find rows: unused
	value   float32 // maybe, perhaps: probability; find: probability if not 0; near: reach in tokens; past: above 0 ends at a comma; denied: above 0 covers its own words
	sure    bool    // find: neither organs nor exclusions apply, but for those that are sure too
	kept    bool    // find: history does not undo it (devices)
	section sectionKind
}

// sectionKind is what a heading opens.
type sectionKind uint8

const (
	body       sectionKind = iota // findings, or no heading at all
	conclusion                    // impression
	background                    // history, indication, technique, comparison: nothing there is a finding of this scan
)

// line is one non-comment line of a data file.
type line struct {
	file   string
	number int
	fields []string
}

func (l line) err(format string, a ...any) error {
	return fmt.Errorf("rules: %s:%d: %s", l.file, l.number, fmt.Sprintf(format, a...))
}

// readData returns the lines of an embedded file, split at tabs; # starts a comment line.
func readData(file string) ([]line, error) {
	f, err := files.Open("data/" + file)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	defer f.Close()
	var lines []line
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		text := strings.TrimRight(sc.Text(), " \t")
		if text == "" || strings.HasPrefix(text, "# ") {
			continue
		}
		fields := strings.FieldsFunc(text, func(r rune) bool { return r == '\t' })
		lines = append(lines, line{file, n, fields})
	}
	return lines, sc.Err()
}

// readClasses reads a file of named word sets: name<TAB>words.
func readClasses(file string) (map[string][]string, error) {
	lines, err := readData(file)
	if err != nil {
		return nil, err
	}
	classes := map[string][]string{}
	for _, l := range lines {
		if len(l.fields) != 2 {
			return nil, l.err("want name and words")
		}
		classes[l.fields[0]] = append(classes[l.fields[0]], strings.Fields(l.fields[1])...)
	}
	return classes, nil
}

// addContext reads id<TAB>kind<TAB>value<TAB>patterns; "-" is no value; patterns are set apart by " ; ".
func (l *Labeler) addContext() error {
	lines, err := readData("context.tsv")
	if err != nil {
		return err
	}
	for _, at := range lines {
		if len(at.fields) != 4 {
			return at.err("want id, kind, value and patterns")
		}
		r := row{id: at.fields[0], finding: -1}
		var ok bool
		if r.kind, ok = kindNames[at.fields[1]]; !ok {
			return at.err("no kind %q", at.fields[1])
		}
		if at.fields[2] != "-" {
			v, err := strconv.ParseFloat(at.fields[2], 32)
			if err != nil {
				return at.err("value %q is not a number", at.fields[2])
			}
			r.value = float32(v)
		}
		if err := l.addRow(r, at, at.fields[3]); err != nil {
			return err
		}
	}
	return nil
}

// addNames reads organs.tsv and sections.tsv: name<TAB>patterns.
func (l *Labeler) addNames(file string, k kind) error {
	lines, err := readData(file)
	if err != nil {
		return err
	}
	sections := map[string]sectionKind{"body": body, "conclusion": conclusion, "background": background}
	for _, at := range lines {
		if len(at.fields) != 2 {
			return at.err("want name and patterns")
		}
		name := at.fields[0]
		r := row{id: name, kind: k, finding: -1}
		if k == section {
			var ok bool
			if r.section, ok = sections[name]; !ok {
				return at.err("no section kind %q", name)
			}
		} else {
			r.organ = int16(slices.Index(l.organs, name))
			if r.organ < 0 {
				r.organ = int16(len(l.organs))
				l.organs = append(l.organs, name)
			}
		}
		if err := l.addRow(r, at, at.fields[1]); err != nil {
			return err
		}
	}
	return nil
}

// addRow compiles a row's patterns.
func (l *Labeler) addRow(r row, at line, patterns string) error {
	l.rows = append(l.rows, r)
	for _, written := range strings.Split(patterns, " ; ") {
		ps, err := compilePattern(l.lex, l.classes, written, int32(len(l.rows)-1))
		if err != nil {
			return at.err("%v", err)
		}
		l.patterns = append(l.patterns, ps...)
	}
	return nil
}

// addFindings reads findings.tsv: [Finding name] headings, then kind<TAB>patterns[<TAB>options]. The kind "in" lists the
// organs a finding may sit in, with "carry" those of the sentence before when its own has none. Options: p=0.5, sure, kept, convention=NAME.
// A heading of several names, as in [A | B], gives its rules to each; a finding that stands in several headings is found
// by the rules of any, which know nothing of each other. It returns which findings it knows.
func (l *Labeler) addFindings(index func(name string) int) (known map[int]bool, err error) {
	lines, err := readData("findings.tsv")
	if err != nil {
		return nil, err
	}
	known = map[int]bool{}
	var units []int // what the heading's rows are added to
	name, count := "", 0
	for _, at := range lines {
		if h := at.fields[0]; strings.HasPrefix(h, "[") {
			names := strings.Split(strings.Trim(h, "[]"), " | ")
			name, count, units = names[0], 0, units[:0]
			for _, n := range names {
				if i := index(n); i >= 0 {
					units = append(units, l.unit(i, known[i]))
					known[i] = true
				}
			}
			continue
		}
		count++
		for _, u := range units {
			if err := l.addFindingRow(at, u, fmt.Sprintf("%s.%d", slug(name), count)); err != nil {
				return nil, err
			}
		}
	}
	return known, nil
}

// unit is the set of rules to add to for a finding: its own, or another one for the same column.
func (l *Labeler) unit(finding int, another bool) int {
	if !another {
		return finding
	}
	l.column = append(l.column, finding)
	l.home, l.carries = append(l.home, 0), append(l.carries, false)
	return len(l.column) - 1
}

func (l *Labeler) addFindingRow(at line, finding int, id string) error {
	if len(at.fields) < 2 || len(at.fields) > 3 {
		return at.err("want kind, patterns and perhaps options")
	}
	if at.fields[0] == "in" {
		for _, o := range strings.Fields(at.fields[1]) {
			k := slices.Index(l.organs, o)
			if k < 0 {
				return at.err("no organ %q", o)
			}
			l.home[finding] |= 1 << k
		}
		l.carries[finding] = len(at.fields) == 3 && at.fields[2] == "carry"
		return nil
	}
	k, ok := kindNames[at.fields[0]]
	if !ok || k > normal {
		return at.err("no kind %q", at.fields[0])
	}
	r := row{id: id, kind: k, finding: int16(finding)}
	if len(at.fields) == 3 {
		for _, o := range strings.Fields(at.fields[2]) {
			key, value, _ := strings.Cut(o, "=")
			switch key {
			case "p":
				v, err := strconv.ParseFloat(value, 32)
				if err != nil {
					return at.err("option %q", o)
				}
				r.value = float32(v)
			case "sure":
				r.sure = true
			case "kept":
				r.kept = true
			case "convention":
				if value != l.convention {
					return nil
				}
			default:
				return at.err("no option %q", o)
			}
		}
	}
	return l.addRow(r, at, at.fields[1])
}

func slug(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }
