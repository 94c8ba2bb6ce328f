package llm

import (
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// finder finds what several patterns match in a text that changes under way: what one has matched may be blotted out for the
// next. One pass of the patterns' common automaton, made deterministic as far as texts have gone, says which of them match
// from where on; the patterns themselves read only that (Thompson, "Regular expression search algorithm", 1968; lazily as
// in Cox, "Regular Expression Matching in the Wild", 2010). Many goroutines may use one.
type finder struct {
	patterns []*regexp.Regexp // from one rune before where they match on
	insts    []syntax.Inst    // of all, one after the other
	owner    []uint64         // the pattern of an instruction, a bit
	starts   []uint32
	sets     []syntax.Inst // of runes, that differ
	kinds    sync.Map      // of runes beyond ASCII, by rune: those that no set tells from each other are of one kind

	sync.Mutex // of what follows; a move that is there is read without it
	bySets     map[string]int
	states     map[string]*state
	from       [3]atomic.Pointer[state] // after a line's end, after a letter or figure, after anything else
}

// state is where the patterns may be after some runes.
type state struct {
	insts []uint32
	prev  rune                                            // stands for the last rune
	next  [utf8.RuneSelf + moreKinds]atomic.Pointer[move] // by the kind of the next rune
}

type move struct {
	to   *state // nil: no pattern goes on
	hits uint64 // patterns that have matched before this rune
}

const (
	moreKinds = 32     // beyond ASCII; runes of further ones are stepped over anew each time
	endKind   = 0      // no text has the rune 0: the text ends
	maxStates = 20_000 // bounds memory to some 30 MiB; a house's reports come to a tenth. Then it begins again
	longest   = 256    // runes, within which a match has begun to be one: bounds the time for what never becomes one
)

// newFinder takes at most 64 patterns, none of which looks for the text's beginning or matches an empty text.
func newFinder(patterns []string) *finder {
	f := &finder{bySets: map[string]int{}}
	seen := map[string]bool{}
	for k, p := range patterns {
		f.patterns = append(f.patterns, regexp.MustCompile(`^(?s:.)(?:`+p+`)`))
		tree, err := syntax.Parse(p, syntax.Perl)
		if err != nil {
			panic(err)
		}
		prog, err := syntax.Compile(tree.Simplify())
		if err != nil {
			panic(err)
		}
		base := uint32(len(f.insts))
		f.starts = append(f.starts, base+uint32(prog.Start))
		for _, in := range prog.Inst {
			if key := string(in.Rune) + string(rune(in.Arg)); in.Op == syntax.InstRune || in.Op == syntax.InstRune1 {
				if !seen[key] {
					f.sets = append(f.sets, in)
				}
				seen[key] = true
			}
			if in.Out += base; in.Op == syntax.InstAlt || in.Op == syntax.InstAltMatch {
				in.Arg += base
			}
			f.insts = append(f.insts, in)
			f.owner = append(f.owner, 1<<k)
		}
	}
	f.forget()
	return f
}

func (f *finder) forget() {
	f.states = map[string]*state{}
	for i, prev := range []rune{'\n', 'a', ' '} {
		f.from[i].Store(f.state(f.starts, prev))
	}
}

// state is the one with these instructions; the lock is held.
func (f *finder) state(insts []uint32, prev rune) *state {
	slices.Sort(insts)
	key := []byte{byte(prev)}
	for _, i := range insts {
		key = binary.AppendUvarint(key, uint64(i))
	}
	s := f.states[string(key)]
	if s == nil {
		s = &state{insts: slices.Clone(insts), prev: prev}
		f.states[string(key)] = s
	}
	return s
}

// kind is what the automaton sees of a rune; -1: it has too many kinds.
func (f *finder) kind(r rune) int {
	if r < utf8.RuneSelf {
		return int(r)
	}
	if k, ok := f.kinds.Load(r); ok {
		return k.(int)
	}
	sets := make([]byte, len(f.sets))
	for i := range f.sets {
		if f.sets[i].MatchRune(r) {
			sets[i] = 1
		}
	}
	f.Lock()
	defer f.Unlock()
	k, ok := f.bySets[string(sets)]
	if !ok {
		if k = utf8.RuneSelf + len(f.bySets); len(f.bySets) >= moreKinds {
			k = -1
		}
		f.bySets[string(sets)] = k
	}
	f.kinds.Store(r, k)
	return k
}

// step is what a rune leads to; -1 is the text's end.
func (f *finder) step(s *state, r rune) *move {
	f.Lock()
	defer f.Unlock()
	prev := ' '
	switch {
	case r == '\n':
		prev = '\n'
	case syntax.IsWordChar(r):
		prev = 'a'
	}
	given := syntax.EmptyOpContext(s.prev, r)
	to := &move{}
	var insts []uint32
	seen := map[uint32]bool{}
	var follow func(uint32)
	follow = func(i uint32) {
		if seen[i] {
			return
		}
		seen[i] = true
		switch in := &f.insts[i]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			follow(in.Out)
			follow(in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			follow(in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^given == 0 {
				follow(in.Out)
			}
		case syntax.InstMatch:
			to.hits |= f.owner[i]
		case syntax.InstFail:
		default:
			if r >= 0 && in.MatchRune(r) && !slices.Contains(insts, in.Out) {
				insts = append(insts, in.Out)
			}
		}
	}
	for _, i := range s.insts {
		follow(i)
	}
	if len(insts) > 0 {
		if len(f.states) >= maxStates {
			f.forget()
		}
		to.to = f.state(insts, prev)
	}
	return to
}

// at gives the patterns that match from text[i:] on, which must not be the text's first rune, and the end of what that
// rests on.
func (f *finder) at(text []byte, i int) (hits uint64, end int) {
	before := 2
	switch c := text[i-1]; {
	case c == '\n':
		before = 0
	case syntax.IsWordChar(rune(c)):
		before = 1
	}
	s := f.from[before].Load()
	for range longest {
		kind, r, size := endKind, rune(-1), 0
		if i < len(text) {
			if r, size = rune(text[i]), 1; r >= utf8.RuneSelf {
				r, size = utf8.DecodeRune(text[i:])
			}
			kind = f.kind(r)
		}
		var to *move
		if kind >= 0 {
			to = s.next[kind].Load()
		}
		if to == nil {
			if to = f.step(s, r); kind >= 0 {
				s.next[kind].Store(to)
			}
		}
		i += size
		if hits |= to.hits; to.to == nil {
			return hits, i
		}
		s = to.to
	}
	return hits, len(text)
}

// left is a text, as far as it is not blotted out, with what matches in it.
type left struct {
	*finder
	text   []byte // a line's end goes before it
	hits   []uint64
	end    []int32 // of what hits rest on
	places []int   // that have had hits
}

// in looks through a text once. A rune 0 in it is blotted out.
func (f *finder) in(text string) *left {
	x := &left{finder: f, text: append([]byte("\n"), text...), hits: make([]uint64, len(text)+2), end: make([]int32, len(text)+2)}
	for i := 1; i < len(x.text); i++ {
		if x.text[i] == 0 {
			x.text[i] = blot
		}
		if utf8.RuneStart(x.text[i]) {
			x.look(i)
		}
	}
	return x
}

func (x *left) look(i int) {
	hits, end := x.at(x.text, i)
	x.hits[i], x.end[i] = hits, int32(end)
	if hits == 0 {
		return
	}
	if at, known := slices.BinarySearch(x.places, i); !known {
		x.places = slices.Insert(x.places, at, i)
	}
}

const blot = 0x01

// blotOut takes a part of the text away, and looks again from where it would have been looked at.
func (x *left) blotOut(from, to int) {
	from, to = from+1, to+1
	for i := from; i < to; i++ {
		x.text[i], x.hits[i] = blot, 0
	}
	for i := from - 1; i >= max(1, from-longest); i-- {
		if int(x.end[i]) > from {
			x.look(i)
		}
	}
	if to < len(x.text) {
		x.look(to)
	}
}

// rest is the text, blots as they are.
func (x *left) rest() string { return string(x.text[1:]) }

// all gives what one pattern matches, as regexp's FindAllSubmatchIndex does.
func (x *left) all(pattern int) (matches [][]int) {
	last := 0
	for _, i := range x.places {
		if x.hits[i]>>pattern&1 == 0 || i <= last {
			continue
		}
		from := i - before(x.text, i)
		m := x.patterns[pattern].FindSubmatchIndex(x.text[from:x.end[i]])
		if m == nil {
			continue
		}
		for k := range m {
			if m[k] >= 0 {
				m[k] += from - 1
			}
		}
		m[0], last = i-1, m[1]
		matches = append(matches, m)
	}
	return matches
}

// before is the length of the rune before a place.
func before(text []byte, i int) int {
	_, n := utf8.DecodeLastRune(text[:i])
	return n
}
