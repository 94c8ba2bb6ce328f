package schemas

// Run is what every step of a run shares. It travels to workers beside a step's options; it holds no key.
type Run struct {
	Dir         string // the run folder, out/NAME
	Store       string // the results store's URL; "" is the user's own
	MaxCostPico int64  // pico-dollars the run may spend; 0: no cap
	Replay      bool   // refuse any call that is not in the store
}
