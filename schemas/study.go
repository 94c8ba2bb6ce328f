// Package schemas holds the records that travel between steps: Study, Batch, Shard, Model and Reject.
package schemas

import (
	"strings"

	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
)

// Study is one scan of one patient with its one report.
type Study struct {
	ID      string   // intake.Studies; unique within a run
	Patient string   // intake.Studies; the study's id where the source names no patient
	Report  string   // intake.Studies; the radiologist's text, never written to logs
	Volumes []Volume // intake.Studies; the scan's reconstructions, none in a text-only job
	Row     int      // intake.Studies; index in Batch.Rows

	Labels []taxonomy.Label // label.Reports or label.Given; one per finding, in the taxonomy's order
}

// Volume names one reconstruction of a study and where its voxels lie. The voxels themselves never travel.
type Volume struct {
	ID              string // the file's name without its extensions; of a DICOM series STUDY_UID, of a table's row STUDY_N
	Path            string
	Series          string `json:",omitempty"` // SeriesInstanceUID, where the folder may hold others
	volume.Metadata        // what the source's table says of it, where hu_source is metadata; zero elsewhere
}

// Reject is a study or volume that left the chain.
type Reject struct {
	Step   string `json:"step"`
	Study  string `json:"study"` // the volume's id where only that reconstruction left; "FILE:LINE" for a row without an id
	Class  string `json:"class"` // a short word to group by
	Reason string `json:"reason"`
	Batch  string `json:"batch"`
}

// Of says whether it is a reject of a study, or of one of its reconstructions, which have a number or UID after its id.
func (r Reject) Of(study string) bool {
	n, reconstruction := strings.CutPrefix(r.Study, study+"_")
	return r.Study == study || reconstruction && n != "" && strings.Trim(n, ".0123456789") == ""
}

// Refusal makes one study leave: a step's Study method returns it as its error.
type Refusal struct{ Class, Reason string }

func (r Refusal) Error() string { return r.Class + ": " + r.Reason }
