package schemas

import (
	"encoding/json"
	"fmt"
	"reflect"

	"silverbeam/pkg/table"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Batch is the unit of shuffle, retry, skip, shard, progress and cost: some thousand studies of text, or some dozen
// with volumes. As a descriptor (Studies nil) it says where its rows are; intake fills in the studies.
type Batch struct {
	ID    string      // hex digest of the content: the same rows make the same batch anywhere
	Index int         // position in the input, from 0
	Split string      // train, valid or test; "" in a text-only job
	Range table.Range // the rows of the report table
	Take  int         // only so many of them; 0: all
	Scans []Scan      // the studies of a layout with volumes; nil in a text-only job

	Studies []Study   // nil in a descriptor
	Rows    []string  // the id of every row that was read, in input order; FILE:LINE for a row that broke
	Rejects []Reject  // so far, in a descriptor those that indexing found; the sink stores them, so that a skipped batch still tells of them
	Trail   []Passage // one for each step passed
}

// Scan is one study of a batch with volumes, before its report is read.
type Scan struct {
	Study, Patient string
	Line           int64 // of the report table, where the study's first row begins
	Volumes        []Volume
}

// Passage counts what one step did with one batch: In = Out + Rejects.
type Passage struct {
	Step       string  `json:"step"`
	Unit       string  `json:"unit"` // studies or volumes
	In         int     `json:"in"`
	Out        int     `json:"out"`
	Rejects    int     `json:"rejects"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
}

// wire is what a Batch becomes between workers: its descriptor, and how many studies were left behind.
type wire struct {
	Descriptor Batch
	Carried    int
}

// encodeBatch drops the studies: Beam also encodes samples of fused collections to learn their size, and volumes or
// reports have no business there.
func encodeBatch(b Batch) ([]byte, error) {
	n := len(b.Studies)
	if b.Studies != nil {
		b.Rejects = nil
	}
	b.Studies, b.Rows, b.Trail = nil, nil, nil
	return json.Marshal(wire{b, n})
}

// decodeBatch fails where a batch with studies met a fusion break, which would have lost them.
func decodeBatch(p []byte) (Batch, error) {
	var w wire
	err := json.Unmarshal(p, &w)
	if err == nil && w.Carried > 0 {
		err = fmt.Errorf("batch %s was sent between workers with %d studies in it: only descriptors may be", w.Descriptor.ID, w.Carried)
	}
	return w.Descriptor, err
}

func init() {
	beam.RegisterCoder(reflect.TypeFor[Batch](), encodeBatch, decodeBatch)
	beam.RegisterType(reflect.TypeFor[Shard]())
	beam.RegisterType(reflect.TypeFor[Model]())
	beam.RegisterType(reflect.TypeFor[Reject]())
}
