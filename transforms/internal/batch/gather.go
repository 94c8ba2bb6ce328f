package batch

import (
	"cmp"
	"reflect"
	"slices"

	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Gathered is every shard of a sink.
type Gathered struct{ Shards []schemas.Shard }

// Gather brings the shards of a sink together, in input order: PCollection<Shard> → PCollection<Gathered> of one element.
func Gather(s beam.Scope, in beam.PCollection) beam.PCollection {
	return beam.Combine(s, &gatherFn{}, in)
}

type gatherFn struct{}

func (*gatherFn) CreateAccumulator() Gathered { return Gathered{} }
func (*gatherFn) AddInput(a Gathered, s schemas.Shard) Gathered {
	return Gathered{append(a.Shards, s)}
}
func (*gatherFn) MergeAccumulators(a, b Gathered) Gathered {
	return Gathered{append(a.Shards, b.Shards...)}
}

// ExtractOutput sorts, since shards arrive in any order.
func (*gatherFn) ExtractOutput(a Gathered) Gathered {
	slices.SortFunc(a.Shards, func(x, y schemas.Shard) int { return cmp.Compare(x.Index, y.Index) })
	return a
}

func init() { beam.RegisterType(reflect.TypeFor[gatherFn]()) }
