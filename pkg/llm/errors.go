package llm

import (
	"errors"
	"fmt"
	"math"

	"silverbeam/pkg/ledger"
)

// Errors that stop a run. What they wrap names hosts, status codes and bounds, never text.
var (
	ErrBudget    = ledger.ErrBudget                            // the cap leaves no room for the next call
	ErrProvider  = errors.New("the provider refuses the call") // key, quota, model or address
	ErrTemporary = errors.New("the endpoint did not answer in time")
	ErrChanged   = fmt.Errorf("%w: the model has changed under its name", ErrProvider)
	ErrReplay    = errors.New("replay: a call would be needed")
)

// Refusal says that this report leaves: no answer can be had for it. Classes: schema (no valid answer after all asks),
// refusal (the model declined), length (report or answer too long), content-filter, bad-request, temporary (the server
// fails on this report and says not to try again).
type Refusal struct{ Class, Reason string }

func (r Refusal) Error() string { return r.Class + ": " + r.Reason }

// Hopeless is an ErrProvider where the model clearly refuses more than half of 200 reports or more: to ask on would be paid
// for nothing, though whoever asks can do without its answers. The test is Wald's, of three quarters against a half.
func (c *Client) Hopeless() error {
	n, no := c.asked.Load(), c.refused.Load()
	if n < 200 || float64(no)*math.Log(1.5)-float64(n-no)*math.Ln2 < math.Log(1e6) {
		return nil
	}
	return fmt.Errorf("%w: of %d reports, %d have no answer that can be used", ErrProvider, n, no)
}
