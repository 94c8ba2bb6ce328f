package evaluate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	path := write(t, "t.csv", "VolumeName,Manufacturer,PatientSex,PatientAge,ConvolutionKernel\n"+
		"a_1.nii.gz,SIEMENS,m,036Y,B70f\na_2,,F,999Y, \nb,Philips ,,80,YA\nbroken\nc,GE,O,11M,\n")
	got, err := readGroups(path)
	if err != nil {
		t.Fatal(err)
	}
	for property, want := range map[string]string{"Scanner": "SIEMENS||Philips|GE", "Sex": "M|F||O", "Age": "under 40||80 and over|under 40", "Kernel": "B70f||YA|"} {
		var is []string
		for _, id := range []string{"a_1", "a_2", "b", "c"} {
			is = append(is, got[property][id])
		}
		if strings.Join(is, "|") != want {
			t.Errorf("%s: %q, want %q", property, strings.Join(is, "|"), want)
		}
	}
	for text, want := range map[string]string{"id,weight\na,1\n": "t.csv:1: none of the columns Manufacturer", "": "empty"} {
		if _, err := readGroups(write(t, "t.csv", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestAgeBand(t *testing.T) {
	for cell, want := range map[string]string{"039Y": "under 40", "40": "40 to 59", "059Y": "40 to 59", "060Y": "60 to 79", "080Y": "80 and over", "149": "80 and over",
		"006M": "under 40", "600M": "40 to 59", "150Y": "", "": "", "Y": "", "old": "", "40YY": "", "-1Y": "", "NaN": ""} {
		if got := ageBand(cell); got != want {
			t.Errorf("%q: %q, want %q", cell, got, want)
		}
	}
}

// Names that many have come first, rare ones together; bands stand in their order; what is not known is in no part.
func TestPartition(t *testing.T) {
	var of []string
	for k := range 10 {
		for range 12 - k {
			of = append(of, fmt.Sprintf("k%d", k))
		}
	}
	p := partition("Kernel", append(of, "", "k9"), nil)
	if want := []string{"k0", "k1", "k2", "k3", "k4", "k5", "k6", "3 others"}; !slices.Equal(p.Parts, want) || len(p.Of) != len(of)+2 || p.Of[len(of)] != -1 || p.Of[len(of)+1] != 7 || p.Of[0] != 0 {
		t.Errorf("%v, of the last two %v", p.Parts, p.Of[len(of):])
	}
	p = partition("Age", []string{"b", "", "a", "b"}, []string{"a", "b", "c"})
	if !slices.Equal(p.Parts, []string{"a", "b"}) || !slices.Equal(p.Of, []int{1, -1, 0, 1}) {
		t.Errorf("%v, %v", p.Parts, p.Of)
	}
}
