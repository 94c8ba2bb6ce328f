package llm

import (
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
)

// Forecast is what is known of calls before the first one is made.
type Forecast struct {
	Price        ledger.Price // zero prices: free of charge
	PriceFile    string       // the digest of the price file
	Instructions int          // bytes that every call sends beside its report and the answer's schema
	Schema       int          // bytes of that schema: not every server counts them
	MaxOutput    int64        // tokens of an answer, which every call sends as its bound
	Thinks       bool         // the model's answer has reasoning tokens

	Stored func(report string) (bool, error) // the store holds the answer, so that no call is needed
}

// Foresee looks at what Open would look at, without a ledger or a key, and sends nothing. store may be nil.
func Foresee(o Options, t *taxonomy.Taxonomy, store *ledger.Store) (f Forecast, err error) {
	s, err := o.resolve(t)
	if err != nil {
		return f, err
	}
	p := newPrompt(t, o.Model)
	f.Instructions, f.Schema = len(p.system[strictSchema])+len(user(ledger.Identity{}, "")), len(p.schema)
	f.MaxOutput, f.Thinks = p.maxTokens, reasons(o.Model)
	f.Stored = func(report string) (bool, error) {
		if store == nil {
			return false, nil
		}
		_, ok, err := store.Get(identity(store, p, o.Model, s, normalise(report)))
		return ok, err
	}
	f.Price, f.PriceFile, err = o.price(s)
	return f, err
}
