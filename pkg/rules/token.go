package rules

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	word tokenKind = iota
	number
	punct
)

// token is one word, number or punctuation mark. It is its own offset map: from and to are bytes of the report as
// given, normFrom and normTo bytes of the folded text that patterns see.
type token struct {
	from, to         int32
	normFrom, normTo int32
	kind             tokenKind
	mark             byte // the mark of a punct token: . , ; : ? ! ( ) / " - or \n
	upper            bool // starts with an upper-case letter
	abroad           bool // has a letter that English has not
	spaced           bool // a blank, line end or the text's start comes before it
	class            int32
	flags            flag
}

// folds maps letters and signs outside ASCII to what a report means by them. Other letters stay unknown letters.
var folds = map[rune]string{
	'ı': "i", 'İ': "i", 'ş': "s", 'Ş': "s", 'ğ': "g", 'Ğ': "g", 'ç': "c", 'Ç': "c", 'ö': "o", 'Ö': "o", 'ü': "u", 'Ü': "u",
	'é': "e", 'è': "e", 'ê': "e", 'ë': "e", 'á': "a", 'à': "a", 'â': "a", 'ä': "a", 'í': "i", 'ì': "i", 'î': "i", 'ï': "i",
	'ó': "o", 'ò': "o", 'ô': "o", 'ú': "u", 'ù': "u", 'û': "u", 'ñ': "n", 'æ': "ae", 'œ': "oe", 'ß': "ss",
	'ﬁ': "fi", 'ﬂ': "fl", 'ﬀ': "ff", 'ﬃ': "ffi", 'ﬄ': "ffl", '×': "x", 'µ': "u", 'μ': "u",
	'‐': "-", '‑': "-", '‒': "-", '–': " - ", '—': " - ", '−': "-", '／': "/", '，': ",", '。': ".", '；': ";", '：': ":", '？': "?",
	'•': "•", '●': "•", '▪': "•", '◦': "•", '■': "•", '·': "•", '‣': "•", '➢': "•", '\u2028': "\n", '\u2029': "\n", '\u0085': "\n",
}

// invisible signs are dropped: soft hyphen, zero-width marks, byte order mark, apostrophes and curly quotes.
func invisible(r rune) bool {
	switch r {
	case '\u00ad', '\u200b', '\u200c', '\u200d', '\ufeff', '\'', '’', '‘', '`', '´', '“', '”', '„', '\u0307':
		return true
	}
	return false
}

// bullet is the mark of a list item; '"' separates items as well.
const bullet = '*'

// tokenize fills s.toks and s.norm from the report; with k, the tokens' classes and flags too.
func (s *scratch) tokenize(report string, k *known) {
	s.toks, s.norm = s.toks[:0], slices.Grow(s.norm[:0], len(report)+8) // folded text is never longer, and plain writes eight at a time
	spaced := true
	for i := 0; i < len(report); {
		c := report[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r':
			spaced = true
			i++
		case c == '\'' || c == '`':
			i++
		case strings.HasPrefix(report[i:], leader):
			n := i + len(leader)
			for n < len(report) && report[n] == '.' {
				n++
			}
			spaced = s.mark(report, i, n, ':', true)
			i = n
		case isAlnum(c):
			i = s.word(report, i, spaced, k)
			spaced = false
		case c < utf8.RuneSelf:
			spaced = s.mark(report, i, i+1, c, spaced)
			i++
		default:
			i, spaced = s.foreign(report, i, spaced, k)
		}
	}
	if k == nil {
		return
	}
	for i := range s.toks {
		if t := &s.toks[i]; t.kind == punct {
			t.class = k.marks[t.mark].class
			t.flags = k.marks[t.mark].flags
		}
	}
}

// leader is the least run of dots that leads the eye to an answer, as a colon would: "Nodule ..... no".
const leader = "...."

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
}

// lower is the small letter or digit of a byte; 0: it is neither.
var lower = func() (t [256]byte) {
	for c := range 256 {
		if b := byte(c); isAlnum(b) {
			t[c] = strings.ToLower(string(rune(b)))[0]
		}
	}
	return t
}()

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// foreign handles one rune outside ASCII.
func (s *scratch) foreign(report string, i int, spaced bool, k *known) (next int, nowSpaced bool) {
	r, n := utf8.DecodeRuneInString(report[i:])
	switch f, known := folds[r]; {
	case invisible(r):
		return i + n, spaced
	case known && f == "•":
		return i + n, s.mark(report, i, i+n, bullet, true)
	case known && f == " - ":
		return i + n, s.mark(report, i, i+n, '-', true)
	case known && !isAlnum(f[0]):
		return i + n, s.mark(report, i, i+n, f[0], spaced)
	case known || unicode.IsLetter(r) || isAlnum(narrow(r)):
		return s.word(report, i, spaced, k), false
	}
	if c := narrow(r); c != 0 {
		return i + n, s.mark(report, i, i+n, c, spaced)
	}
	return i + n, true
}

// narrow is the ASCII sign of a full-width one (U+FF01 to U+FF5E), or 0.
func narrow(r rune) byte {
	if r < 0xff01 || r > 0xff5e {
		return 0
	}
	return byte(r - 0xff01 + '!')
}

// word reads a word or a number that starts at byte i. Numbers keep their decimals ("4.5", "4,5", "12x8"); hyphens end a word.
func (s *scratch) word(report string, i int, spaced bool, k *known) (next int) {
	t := token{from: int32(i), normFrom: int32(len(s.norm)), spaced: spaced}
	if c := report[i]; isDigit(c) {
		t.kind = number
	} else if c < utf8.RuneSelf {
		t.upper = c <= 'Z'
		if next = s.plain(report, i, &t, k); next > 0 {
			return next
		}
	} else {
		r, _ := utf8.DecodeRuneInString(report[i:])
		t.upper = unicode.IsUpper(r)
	}
	for i < len(report) {
		c := report[i]
		if isAlnum(c) {
			if t.kind == number && !isDigit(c) && c != 'x' && c != 'X' {
				break // 5mm: the unit is a word of its own
			}
			s.norm = append(s.norm, lower[c])
			i++
			continue
		}
		if t.kind == number && (c == '.' || c == ',') && i+1 < len(report) && isDigit(report[i+1]) {
			s.norm = append(s.norm, '.')
			i++
			continue
		}
		if c == '\'' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		r, n := utf8.DecodeRuneInString(report[i:])
		f, known := folds[r]
		if a := narrow(r); isAlnum(a) {
			f, known = strings.ToLower(string(rune(a))), true
		} else if !invisible(r) {
			t.abroad = t.abroad || unicode.IsLetter(r) && (!known || len(f) == 1)
		}
		if !known && !unicode.IsLetter(r) && !invisible(r) || known && !isAlnum(f[0]) {
			break
		}
		if known {
			s.norm = append(s.norm, f...)
		} else if !invisible(r) {
			s.norm = append(s.norm, '~') // a letter no pattern knows
		}
		i += n
	}
	t.to, t.normTo = int32(i), int32(len(s.norm))
	if t.normTo == t.normFrom {
		return i
	}
	if k != nil && t.kind == word {
		t.class = k.l.lex.class(s.norm[t.normFrom:])
	} else if k != nil {
		t.class = k.l.lex.number
	}
	if k != nil {
		t.flags = k.l.flags[t.class]
	}
	s.toks = append(s.toks, t)
	return i
}

// plain reads a word of English letters and digits alone, as nearly all are, eight at a time; 0: it is not one, or it stands
// too near the end of the text.
func (s *scratch) plain(report string, i int, t *token, k *known) (next int) {
	text, norm := report[i:], s.norm[len(s.norm):cap(s.norm)]
	var key wordKey
	n, ends := 0, uint64(0)
	for ; ends == 0; n += min(bits.TrailingZeros64(ends)/8, 8) {
		if n+8 > len(text) {
			return 0
		}
		var letters uint64
		letters, ends = fold(eight(text[n:]))
		letters &= 1<<(bits.TrailingZeros64(ends)&^7) - 1 // all of them where none ends
		binary.LittleEndian.PutUint64(norm[n:], letters)
		switch n {
		case 0:
			key.head = letters
		case 8:
			key.tail = letters
		}
	}
	if c := text[n]; c >= utf8.RuneSelf || c == '\'' {
		return 0
	}
	s.norm = s.norm[:len(s.norm)+n]
	t.to, t.normTo = int32(i+n), int32(len(s.norm))
	if k != nil {
		w := k.word(key, norm[:n])
		t.class, t.flags = w.class, w.flags
	}
	s.toks = append(s.toks, *t)
	return i + n
}

// eight is the first eight bytes of a text, the first one lowest.
func eight(text string) uint64 {
	_ = text[7]
	return uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
		uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
}

// fold makes the English letters of eight bytes small, and sets the top bit of each byte that is neither letter nor digit.
func fold(v uint64) (letters, others uint64) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	low := v &^ tops
	small := low | 0x20*ones
	letter := (small + (0x80-'a')*ones) &^ (small + (0x7f-'z')*ones) & tops
	digit := (low + (0x80-'0')*ones) &^ (low + (0x7f-'9')*ones) & tops
	return v | letter>>2, v&tops | tops&^(letter|digit)
}

// mark handles a punctuation sign and says whether the next token counts as spaced.
func (s *scratch) mark(report string, from, to int, c byte, spaced bool) bool {
	atLineStart := len(s.toks) == 0 || s.toks[len(s.toks)-1].mark == '\n'
	nextBlank := to >= len(report) || report[to] == ' ' || report[to] == '\t' || report[to] == '\n'
	switch c {
	case '.', ',', ';', ':', '?', '!', '(', ')', '/', '"', '\n', bullet:
	case '[', ']', '{', '}':
		c = '('
	case '|':
		c = ':' // a table's cell
	case '-':
		if from > 0 && report[from-1] == '(' && to < len(report) && report[to] == ')' {
			c = '-' // "(-)"
		} else if atLineStart && nextBlank {
			c = bullet
		} else if !spaced && !nextBlank {
			return false // ground-glass: two words, no mark
		} else {
			c = '-'
		}
	case '+', '=', '<', '>', '%', '&', '~', '^', '_', '#', '\\':
		return true
	default:
		return true
	}
	n := int32(len(s.norm))
	s.norm = append(s.norm, c)
	s.toks = append(s.toks, token{from: int32(from), to: int32(to), normFrom: n, normTo: n + 1, kind: punct, mark: c, spaced: spaced})
	return c == '\n'
}
