package evaluate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/table"
	"silverbeam/transforms/internal/result"
)

// mostParts is how many parts a property of names has; the rarer ones are one part.
const mostParts = 8

// property is one that volumes are told apart by.
type property struct {
	name    string
	columns []string                    // DICOM's keywords, as CT-RATE's tables have them
	of      func(cells []string) string // its part; "": not known
	order   []string                    // of the parts; nil: by rows, many first
}

// spacing is a property that the data set itself knows.
const spacing = "Distance between slices"

var slabs = []struct {
	name string
	mm   float64 // up to
}{{"up to 1.25 mm", 1.25}, {"1.25 to 3 mm", 3}, {"over 3 mm", math.Inf(1)}}

var ages = []struct {
	name string
	to   int // years, not reached
}{{"under 40", 40}, {"40 to 59", 60}, {"60 to 79", 80}, {"80 and over", 150}}

var properties = []property{
	{"Scanner", []string{"Manufacturer", "ManufacturerModelName"}, func(cells []string) string { return strings.Join(strings.Fields(strings.Join(cells, " ")), " ") }, nil},
	{"Kernel", []string{"ConvolutionKernel"}, func(cells []string) string { return strings.TrimSpace(cells[0]) }, nil},
	{"Sex", []string{"PatientSex"}, func(cells []string) string { return strings.ToUpper(strings.TrimSpace(cells[0])) }, nil},
	{"Age", []string{"PatientAge"}, func(cells []string) string { return ageBand(cells[0]) }, []string{ages[0].name, ages[1].name, ages[2].name, ages[3].name}},
}

// ageBand reads DICOM's age string, a number and a letter D, W, M or Y (PS3.5, 6.2), or a number of years.
func ageBand(cell string) string {
	cell = strings.ToUpper(strings.TrimSpace(cell))
	number := strings.TrimRight(cell, "DWMY")
	years, err := strconv.ParseFloat(number, 64)
	if err != nil || len(cell)-len(number) > 1 || years < 0 {
		return ""
	}
	switch cell[len(number):] {
	case "D":
		years /= 365.25
	case "W":
		years /= 52.18
	case "M":
		years /= 12
	}
	for _, a := range ages {
		if years < float64(a.to) {
			return a.name
		}
	}
	return ""
}

// readGroups reads the table of what is known of studies or volumes beside findings: property → id → part. It must have one
// property's column, by DICOM's keyword; a row that cannot be read is one of which nothing is known.
func readGroups(path string) (map[string]map[string]string, error) {
	names, err := header(path)
	if err != nil {
		return nil, err
	}
	c := table.Columns{Study: names[0]}
	all := map[string]map[string]string{}
	var wanted []string
	for _, p := range properties {
		for _, name := range p.columns {
			wanted = append(wanted, name)
			if slices.Contains(names, name) && name != names[0] {
				c.Extra, all[p.name] = append(c.Extra, name), map[string]string{}
			}
		}
	}
	if c.Extra == nil {
		return nil, fmt.Errorf("%s:1: none of the columns %s", path, strings.Join(wanted, ", "))
	}
	ranges, err := table.Cut(path, c, 10_000)
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		rows, _, err := table.Read(r, c)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			id := strings.TrimSuffix(strings.TrimSuffix(row.ID, ".gz"), ".nii")
			for _, p := range properties {
				if all[p.name] == nil {
					continue
				}
				cells := make([]string, len(p.columns))
				for i, name := range p.columns {
					if at := slices.Index(c.Extra, name); at >= 0 {
						cells[i] = row.Extra[at]
					}
				}
				all[p.name][id] = p.of(cells)
			}
		}
	}
	return all, nil
}

// subgroups measures the parts of the split's rows, by what the table of groups and the data set know of them.
func (f *modelFn) subgroups(p *pool, t metrics.Scores) (out []result.Subgroups, err error) {
	groups := map[string]map[string]string{}
	if f.Options.Groups != "" {
		if groups, err = readGroups(f.Options.Groups); err != nil {
			return nil, fmt.Errorf("%w: groups: %w", ErrTruth, err)
		}
	}
	var by []metrics.Partition
	for _, x := range properties {
		of := make([]string, len(p.rows))
		for i, r := range p.rows {
			of[i] = cmp.Or(groups[x.name][r.Volume], groups[x.name][r.Study])
		}
		by = append(by, partition(x.name, of, x.order))
	}
	var order []string
	for _, s := range slabs {
		order = append(order, s.name)
	}
	of := make([]string, len(p.rows))
	for i, r := range p.rows {
		of[i] = slab(r.Scan.SpacingMM[0])
	}
	by = append(by, partition(spacing, of, order))
	parts, err := t.Parts(by, result.FewPatients, f.resampling())
	for i, x := range by {
		n := 0
		for _, part := range x.Of {
			if part < 0 {
				n++
			}
		}
		out = append(out, result.Subgroups{Property: x.Property, Parts: parts[i], NUnknown: n})
	}
	return out, err
}

// slab is the part of a distance between slices; "": not known.
func slab(mm float64) string {
	for _, s := range slabs {
		if mm > 0 && mm <= s.mm {
			return s.name
		}
	}
	return ""
}

// partition makes parts of rows' names, those of order in its order; without one the most frequent first, the others together.
func partition(name string, of, order []string) metrics.Partition {
	n := map[string]int{}
	for _, part := range of {
		n[part]++
	}
	delete(n, "")
	p := metrics.Partition{Property: name, Of: make([]int, len(of))}
	for _, part := range order {
		if n[part] > 0 {
			p.Parts = append(p.Parts, part)
		}
	}
	if order == nil {
		for part := range n {
			p.Parts = append(p.Parts, part)
		}
		slices.SortFunc(p.Parts, func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b)) })
	}
	others := len(p.Parts)
	if order == nil && len(p.Parts) > mostParts {
		others = mostParts - 1
		p.Parts = append(p.Parts[:others:others], fmt.Sprintf("%d others", len(p.Parts)-others))
	}
	for i, part := range of {
		if p.Of[i] = slices.Index(p.Parts[:others], part); p.Of[i] < 0 && part != "" {
			p.Of[i] = others
		}
	}
	return p
}
