package html

import (
	"fmt"
	"html/template"
)

// Scans says what the data set was made of: the volumes as they were read.
type Scans struct {
	Grid       string      `json:"grid,omitempty"` // what they were brought to
	Splits     []ScanSplit `json:"splits"`
	Duplicates [][]string  `json:"duplicates,omitempty"` // volumes with the same voxels
	Examples   []Example   `json:"examples,omitempty"`
}

// ScanSplit is one split: each text has the least, the middle and the greatest number.
type ScanSplit struct {
	Name    string       `json:"name"`
	Known   int          `json:"known"` // scans of which the rest tells
	Slices  string       `json:"slices"`
	Gap     string       `json:"gap"` // between slices, mm
	Rows    string       `json:"rows"`
	Columns string       `json:"columns"`
	Pixel   string       `json:"pixel"`        // mm
	HU      [][2]float64 `json:"hu,omitempty"` // HU, share of the voxels around it
}

// Example is one volume of the data set, as training sees it.
type Example struct {
	Volume   string   `json:"volume"`
	Split    string   `json:"split"`
	Findings []string `json:"findings"` // present in its labels
	Images   Images   `json:"images"`
}

// namedDuplicates is how many groups the page names.
const namedDuplicates = 10

// Named are the first groups of duplicates, Unnamed how many more there are.
func (s *Scans) Named() [][]string { return s.Duplicates[:min(len(s.Duplicates), namedDuplicates)] }

// Unnamed is how many groups of duplicates the page leaves out.
func (s *Scans) Unnamed() int { return len(s.Duplicates) - len(s.Named()) }

// Density draws the distribution of HU, a curve for each split.
func (s *Scans) Density() template.HTML {
	var all []series
	for i, sp := range s.Splits {
		var percent [][2]float64
		for _, p := range sp.HU {
			percent = append(percent, [2]float64{p[0], 100 * p[1]})
		}
		all = append(all, series{fmt.Sprintf("s%d", i%4+1), sp.Name + ", % of voxels", percent})
	}
	return lines("% of voxels", "HU", 210, all)
}
