package rules

// Words calls each with every word, number and mark of the folded report in reading order. A word's bytes hold until each
// returns. Whether a word is a mark (a sentence's end, a comma, a bullet, a line's end) is said beside it.
func Words(report string, each func(word []byte, mark bool)) {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	s.tokenize(report, nil)
	for _, t := range s.toks {
		each(s.norm[t.normFrom:t.normTo], t.kind == punct)
	}
}
