package engine

import (
	"errors"

	"silverbeam/pkg/net"
)

// Gorgonia is the engine that is always there: on the CPU, its graph, order and tape those of gorgonia.
func Gorgonia() Engine { return gorgonia{} }

type gorgonia struct{}

func (gorgonia) Compile(g *net.Graph, shapes map[string][]int, train bool) (Program, error) {
	return nil, errors.New("engine: not yet")
}
