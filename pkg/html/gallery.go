package html

import (
	"errors"
	"fmt"
	"regexp"
)

// Gallery shows for a few queries what the model finds.
type Gallery struct {
	Note    string  `json:"note,omitempty"` // how the queries were picked, the window of the slices
	Queries []Query `json:"queries"`
}

// Query is one report, named by its study, with its best results.
type Query struct {
	Study    string   `json:"study"`
	Findings []string `json:"findings"`       // present in its labels
	Rank     int      `json:"rank,omitempty"` // of its own study in the whole pool, best 1; 0: not said
	Pool     int      `json:"pool,omitempty"`
	// ReportText shows the report itself. Leave it empty unless the run was told report_text: true; it marks the page.
	ReportText string   `json:"report_text,omitempty"`
	Images     Images   `json:"images"` // of the study's own volume; may be empty
	Results    []Result `json:"results"`
}

// Result is one retrieved volume.
type Result struct {
	Volume      string   `json:"volume"`
	Score       float64  `json:"score"`
	Findings    []string `json:"findings"`
	SameStudy   bool     `json:"same_study,omitempty"`
	SamePatient bool     `json:"same_patient,omitempty"`
	Images      Images   `json:"images"`
}

// Images are three slices through a volume as data URIs (Slices makes them); each may be empty.
type Images struct {
	Axial    string `json:"axial,omitempty"`
	Coronal  string `json:"coronal,omitempty"`
	Sagittal string `json:"sagittal,omitempty"`
	// Mediastinum is the axial slice again, in the mediastinal window; the others are in the lung window.
	Mediastinum string `json:"mediastinum,omitempty"`
}

// imageBudget leaves room for the rest below MaxBytes; a query whose images no longer fit is left out, and said so.
const imageBudget = 3_000_000

var dataImage = regexp.MustCompile(`^data:image/(png|jpeg);base64,[A-Za-z0-9+/]+=*$`)

// trim returns the queries whose images fit, in order, or an error for an image that is not inline PNG or JPEG.
func (g *Gallery) trim() (kept []Query, left int, err error) {
	bytes := 0
	for i, q := range g.Queries {
		all := []Images{q.Images}
		for _, r := range q.Results {
			all = append(all, r.Images)
		}
		for _, im := range all {
			n, err := im.size()
			if err != nil {
				return nil, 0, fmt.Errorf("html: gallery query %d: %w", i, err)
			}
			bytes += n
		}
		if bytes > imageBudget {
			return kept, len(g.Queries) - i, nil
		}
		kept = append(kept, q)
	}
	return kept, 0, nil
}

// size is their bytes, or an error for what is not inline PNG or JPEG.
func (im Images) size() (bytes int, err error) {
	for _, s := range im.shots() {
		if !dataImage.MatchString(s.URI) {
			return 0, errors.New("image is not a base64 data URI of PNG or JPEG")
		}
		bytes += len(s.URI)
	}
	return bytes, nil
}

type shot struct {
	Name, URI string
}

func (im Images) shots() (shots []shot) {
	for _, s := range []shot{{"axial", im.Axial}, {"axial, mediastinal window", im.Mediastinum}, {"coronal", im.Coronal}, {"sagittal", im.Sagittal}} {
		if s.URI != "" {
			shots = append(shots, s)
		}
	}
	return shots
}
