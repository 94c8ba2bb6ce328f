package rules

import "strings"

// sentence is a run of tokens that is read as one statement.
type sentence struct {
	from, to  int  // tokens
	paragraph bool // starts a new paragraph or list item: nothing is carried over from before
	colon     bool // a colon is among its first tokens, where a heading ends
}

// longestSentence bounds a sentence, in tokens, so that a text without full stops costs no more than others.
const longestSentence = 250

// split fills s.sents and drops the tokens that only separate. A sentence ends at . ! a quote sign, a bullet, a line
// break that is not a hard wrap, and at ? before a capital. It does not end at decimals, abbreviations or enumerators.
// Semicolons stay inside: they end scopes, while an organ named before one still holds after it.
func (s *scratch) split(l *Labeler, report string) {
	s.sents = s.sents[:0]
	width := wrapWidth(report)
	kept, from, paragraph, open := 0, 0, true, false
	colon := -1 // the first of the sentence
	end := func(newParagraph bool) {
		if kept > from {
			s.sents = append(s.sents, sentence{from: from, to: kept, paragraph: paragraph, colon: colon >= from && colon < min(kept, from+longestHeading)})
			paragraph = false
		}
		paragraph = paragraph || newParagraph
		from, open = kept, false
	}
	for i := range s.toks {
		if kept-from >= longestSentence {
			end(false)
		}
		// kept <= i: toks[i-1], toks[i] and toks[i+1] are still as tokenized
		t := &s.toks[i]
		switch {
		case t.kind != punct:
			if kept < i {
				s.toks[kept] = *t
			}
			kept++
		case t.mark == ')' && !open && s.letters(from, kept):
			kept--
			end(true)
		case t.mark == '\n' && kept > from && s.toks[kept-1].mark == ':' && s.answers(l, i+1):
			// "Nodules:", and below it "none"
		case t.mark == ',' || t.mark == ';' || t.mark == ':' || t.mark == '(' || t.mark == ')' || t.mark == '/' || t.mark == '-':
			if t.mark == ':' && colon < from {
				colon = kept
			}
			if kept < i {
				s.toks[kept] = *t
			}
			kept++
			open = t.mark == '(' || open && t.mark != ')'
		case t.mark == '.' && kept == from+1 && s.enumerates(from):
			kept, paragraph = from, true
		case t.mark == '.' && s.fullStop(l, i), t.mark == '!':
			end(false)
		case t.mark == '?':
			s.toks[kept] = *t
			kept++
			if i+1 < len(s.toks) && s.toks[i+1].upper && s.toks[i+1].spaced {
				end(false)
			}
		case t.mark == '"' && !s.speech(i), t.mark == bullet, t.mark == '\n' && !s.wrapped(l, report, i, width):
			end(true)
		}
	}
	end(false)
	s.toks = s.toks[:kept]
}

// letters reports whether the last token kept is the letter or number of a list item, as in "b)".
func (s *scratch) letters(from, kept int) bool {
	if kept == from {
		return false
	}
	t := s.toks[kept-1]
	return t.normTo-t.normFrom == 1 && t.kind != punct && (kept == from+1 || t.spaced)
}

// answers reports whether the line of token i, blank lines aside, is one of the words that answer a heading, alone.
func (s *scratch) answers(l *Labeler, i int) bool {
	for i < len(s.toks) && s.toks[i].mark == '\n' {
		i++
	}
	if i >= len(s.toks) || !l.lex.has(s.toks[i].class, l.answer) {
		return false
	}
	return i+1 == len(s.toks) || s.toks[i+1].mark == '\n' || s.toks[i+1].mark == '.'
}

// enumerates reports whether the token opens a list item ("2.") when a full stop follows.
func (s *scratch) enumerates(i int) bool {
	return s.toks[i].kind == number && s.toks[i].normTo-s.toks[i].normFrom <= 2
}

// fullStop tells the end of a sentence from an abbreviation, an initial or a dot inside a word.
func (s *scratch) fullStop(l *Labeler, i int) bool {
	if i == 0 || i+1 == len(s.toks) {
		return true
	}
	before, after := s.toks[i-1], s.toks[i+1]
	if after.mark == '"' || after.mark == '\n' || after.mark == bullet {
		return !l.lex.has(before.class, l.abbreviation) || after.mark != '\n'
	}
	if l.lex.has(before.class, l.abbreviation) && !(after.spaced && after.upper && before.normTo-before.normFrom > 3) {
		return false
	}
	if before.kind == word && before.normTo-before.normFrom == 1 && !after.spaced {
		return false // e.g., i.v.
	}
	if !after.spaced { // "seen.There" is a slip, "www.site" is not ours to read
		return before.kind == number || after.upper || after.normTo-after.normFrom > 2
	}
	return true
}

// speech reports whether the quote sign at i quotes a word inside a sentence instead of setting off an item.
func (s *scratch) speech(i int) bool {
	if i == 0 || i+1 >= len(s.toks) {
		return false
	}
	before, after := s.toks[i-1], s.toks[i+1]
	return before.kind == word && after.kind == word && !after.upper && (s.toks[i].spaced || after.spaced)
}

// wrapWidth is the length of the longest line, to tell hard wraps from line ends; 0 when lines are not wrapped.
func wrapWidth(report string) int {
	longest := 0
	for line := range strings.SplitSeq(report, "\n") {
		longest = max(longest, len(line))
	}
	if longest < 50 || longest > 140 {
		return 0
	}
	return longest
}

// wrapped reports whether the line break at token i sits inside a sentence: the next line goes on in lower case, or the
// line is nearly as wide as the widest and ends without a mark.
func (s *scratch) wrapped(l *Labeler, report string, i, width int) bool {
	if i == 0 || i+1 >= len(s.toks) {
		return false
	}
	before, after := s.toks[i-1], s.toks[i+1]
	if before.kind == punct && before.mark != ',' && before.mark != ')' || after.kind == punct && after.mark != '(' {
		return false
	}
	if after.kind == word && !after.upper {
		return width > 0 || l.flags[after.class]&(fresh|denial) == 0 || l.flags[before.class]&verb != 0
	}
	if before.mark == ',' {
		return true
	}
	lineStart := int(before.to)
	for lineStart > 0 && report[lineStart-1] != '\n' {
		lineStart--
	}
	return width > 0 && int(before.to)-lineStart > width*4/5
}
