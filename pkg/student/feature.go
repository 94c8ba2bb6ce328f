package student

import (
	"strings"

	"silverbeam/pkg/rules"
)

// A feature is a run of words, a pair of words or a run of characters that a report has or has not. In a file it is a text, its kind before a
// colon; in memory the text's hash.
const (
	wordKind = "w:" // "w:no pleural effusion", "w:density .. lobe"; a number is 0, a mark stands for itself
	charKind = "c:" // "c:_effu": four or five characters of a word, _ at its ends
)

// Lengths of the runs, in words and in characters, and how many places apart a pair of words may stand.
const (
	longestWords  = 3
	farthest      = 7
	shortestChars = 4
	longestChars  = 5
	longestBytes  = 256 // of a run of words, or a word of a pair
)

// hash is 64-bit FNV-1a (Fowler, Noll, Vo), made byte by byte. A feature's has its kind in the lowest three bits: the
// number of words, 3 for a pair, or 4 for characters: of equals the smaller is preferred.
type hash uint64

const hashStart hash = 14695981039346656037

func (h hash) byte(b byte) hash { return (h ^ hash(b)) * 1099511628211 }

func (h hash) add(s string) hash {
	for i := range len(s) {
		h = h.byte(s[i])
	}
	return h
}

func (h hash) of(kind int) hash { return h&^7 | hash(kind) }

func (h hash) kind() int { return int(h & 7) }

var (
	wordStart = hashStart.add(wordKind)
	charStart = hashStart.add(charKind)
)

// textHash is the hash of a feature that is written as text.
func textHash(text string) hash {
	if strings.HasPrefix(text, charKind) {
		return hashStart.add(text).of(longestWords + 1)
	}
	return hashStart.add(text).of(1 + strings.Count(text, " "))
}

// reader finds the features of one report at a time.
type reader struct {
	words []byte          // folded, one after the other
	ends  []int32         // of each in words
	found []hash          // of the report, repeated ones repeated
	texts map[hash]string // those of its keys that are found are filled in
}

// read fills found.
func (r *reader) read(report string) {
	r.found, r.words, r.ends = r.found[:0], r.words[:0], r.ends[:0]
	rules.Words(report, func(w []byte, mark bool) {
		switch {
		case mark && (w[0] == '\n' || w[0] == '"'):
			r.words = append(r.words, '.')
		case w[0] >= '0' && w[0] <= '9':
			r.words = append(r.words, '0')
		default:
			r.words = append(r.words, w...)
		}
		r.ends = append(r.ends, int32(len(r.words)))
	})
	from := int32(0)
	for i, to := range r.ends {
		r.readWords(i, from)
		r.readPairs(i, from)
		r.readChars(r.words[from:to])
		from = to
	}
}

// readWords adds the runs of words that begin with word i, whose first byte is from.
func (r *reader) readWords(i int, from int32) {
	h, start := wordStart, from
	for n, end := range r.ends[i:min(i+longestWords, len(r.ends))] {
		if n > 0 {
			h = h.byte(' ')
		}
		if end-from > longestBytes {
			break
		}
		for _, c := range r.words[start:end] {
			h = h.byte(c)
		}
		start = end
		f := h.of(n + 1)
		r.found = append(r.found, f)
		if text, wanted := r.texts[f]; wanted && text == "" {
			r.texts[f] = wordKind + r.run(i, i+n)
		}
	}
}

// run is the text of the words from first to last.
func (r *reader) run(first, last int) string {
	var words []string
	for i := first; i <= last; i++ {
		from := int32(0)
		if i > 0 {
			from = r.ends[i-1]
		}
		words = append(words, string(r.words[from:r.ends[i]]))
	}
	return strings.Join(words, " ")
}

// readChars adds the runs of characters of one word and its ends.
func (r *reader) readChars(word []byte) {
	n := len(word) + 2
	at := func(i int) byte {
		if i == 0 || i == n-1 {
			return '_'
		}
		return word[i-1]
	}
	for i := range max(n-shortestChars+1, 0) {
		h := charStart
		for k := i; k < min(n, i+longestChars); k++ {
			h = h.byte(at(k))
			if k-i+1 < shortestChars {
				continue
			}
			f := h.of(longestWords + 1)
			r.found = append(r.found, f)
			if text, wanted := r.texts[f]; wanted && text == "" {
				r.texts[f] = charKind + ("_" + string(word) + "_")[i:k+1]
			}
		}
	}
}

// readPairs adds word i with each word of its sentence that stands two to farthest places after it.
func (r *reader) readPairs(i int, from int32) {
	first := wordStart
	for _, c := range r.words[from:r.ends[i]] {
		first = first.byte(c)
	}
	first = first.add(" .. ")
	for j := i + 1; j < min(i+farthest+1, len(r.ends)); j++ {
		w := r.words[r.ends[j-1]:r.ends[j]]
		if len(w) == 1 && w[0] == '.' || len(w) > longestBytes || r.ends[i]-from > longestBytes {
			break
		}
		if j == i+1 {
			continue // a run has them
		}
		h := first
		for _, c := range w {
			h = h.byte(c)
		}
		h = h.of(longestWords)
		r.found = append(r.found, h)
		if text, wanted := r.texts[h]; wanted && text == "" {
			r.texts[h] = wordKind + r.run(i, i) + " .. " + r.run(j, j)
		}
	}
}
