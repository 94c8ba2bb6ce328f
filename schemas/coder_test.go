package schemas

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// What crosses a break between fused stages comes back as it was: Flink sends summaries between workers, Prism may not.
func TestRecordsTravel(t *testing.T) {
	for _, v := range []any{Shard{Step: "s", Index: 3, File: "f", Entry: `{"a":1}`}, Shard{}, Model{Step: "m"}, Reject{Study: "x"},
		Batch{ID: "b", Rejects: []Reject{{Study: "x", Class: "dicom"}}, Scans: []Scan{{Study: "y", Volumes: []Volume{{ID: "v", Series: "1.2"}}}}}} {
		var b bytes.Buffer
		if err := beam.NewElementEncoder(reflect.TypeOf(v)).Encode(v, &b); err != nil {
			t.Fatal(err)
		}
		if got, err := beam.NewElementDecoder(reflect.TypeOf(v)).Decode(&b); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%+v comes back as %+v, %v", v, got, err)
		}
	}
}
