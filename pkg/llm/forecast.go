package llm

import (
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
)

// Forecast is what is known of calls before the first one is made.
type Forecast struct {
	Price     ledger.Price // of a call; zero prices: free of charge
	Batch     ledger.Price // of a line of a batch; that of a call where there is none
	PriceFile string       // the digest of the price file
	Thinks    bool         // the model's answer has reasoning tokens

	Call func(report string, want []int) (Request, error) // what will be asked of a report, for these findings
}

// Request is the size of one call. Zero: the store has every answer, and no call is needed.
type Request struct {
	Findings     int     // asked for
	Text         string  // what is sent of the report
	Removed      Removed // from it; nil: it is sent whole
	Instructions int     // bytes sent beside the report and the answer's schema
	Schema       int     // bytes of that schema: not every server counts them
	MaxOutput    int64   // tokens of the answer, sent as its bound
}

// Foresee looks at what Open would look at, without a ledger or a key, and sends nothing. store may be nil.
func Foresee(o Options, t *taxonomy.Taxonomy, store *ledger.Store) (f Forecast, err error) {
	sites, err := o.resolve(t)
	if err != nil {
		return f, err
	}
	s := sites[0]
	redact, err := o.redactor(s, t)
	if err != nil {
		return f, err
	}
	made := prompts{t: t, model: o.Model, made: map[string]*prompt{}}
	var q question
	if store != nil {
		q = newQuestion(store, t, o.Model, s, redact)
	}
	f.Thinks = reasons(o.Model)
	f.Call = func(report string, want []int) (Request, error) {
		text, removed := strip(redact, report)
		missing := want
		if text == "" {
			return Request{}, nil // it leaves without a call
		}
		if store != nil {
			answers, err := store.Get(q.about(store, text))
			if err != nil {
				return Request{}, err
			}
			_, missing = q.pick(answers, want)
		}
		if len(missing) == 0 {
			return Request{Text: text}, nil
		}
		p := made.of(missing)
		return Request{len(p.keys), text, removed, len(p.system[strictSchema]) + len(user(ledger.Identity{}, "")), len(p.schema), p.maxTokens}, nil
	}
	f.Price, f.Batch, f.PriceFile, err = o.price(s)
	return f, err
}
