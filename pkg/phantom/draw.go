package phantom

import (
	"fmt"
	"math"
	"slices"
)

// The eighteen findings by number, in the order of CT-RATE's label files.
const (
	material = iota
	arterialCalc
	cardiomegaly
	pericardialEffusion
	coronaryCalc
	hiatalHernia
	lymphadenopathy
	emphysema
	atelectasis
	nodule
	opacity
	fibrosis
	pleuralEffusion
	mosaic
	peribronchial
	consolidation
	bronchiectasis
	septal
	nFindings
)

// Findings are the names of the eighteen findings, in the order of CT-RATE's label files (arXiv 2403.17834).
var Findings = [nFindings]string{
	"Medical material", "Arterial wall calcification", "Cardiomegaly", "Pericardial effusion",
	"Coronary artery wall calcification", "Hiatal hernia", "Lymphadenopathy", "Emphysema", "Atelectasis", "Lung nodule",
	"Lung opacity", "Pulmonary fibrotic sequela", "Pleural effusion", "Mosaic attenuation pattern",
	"Peribronchial thickening", "Consolidation", "Bronchiectasis", "Interlobular septal thickening",
}

// prevalence of each finding over CT-RATE's 3,039 validation volumes.
var prevalence = [nFindings]float64{
	.103, .285, .107, .074, .252, .137, .260, .197, .235, .448, .390, .273, .124, .083, .117, .191, .109, .082,
}

// healthy is the part of studies without any finding by decree; chance adds about 3 % to it.
const healthy = 0.08

// loading ties the findings together: four latent factors (roughly fluid, vessels and age, airways, infection) and the
// rest of each variance its own, thresholded at the prevalence (a Gaussian copula). Fitted by least squares so that the
// phi coefficients published for CT-RATE's manual labels come out (coronary-arterial .69, bronchiectasis-peribronchial
// .35, effusion with septal thickening, pericardial effusion, atelectasis, consolidation and devices .30 ...), other
// pairs stay near .06, and 11 % of studies are normal.
var loading = [nFindings][4]float64{
	{.127, .111, -.521, -.220}, {-.055, .847, .151, -.391}, {.091, .532, .019, -.254},
	{.147, .122, -.547, -.249}, {-.079, .833, .160, -.388}, {.159, .111, -.102, -.064},
	{.123, .082, -.090, -.040}, {.139, .095, -.095, -.050}, {.064, .091, -.536, -.158},
	{.077, .183, .133, .324}, {.302, -.180, .152, -.487}, {.120, .080, -.089, -.038},
	{.176, .037, -.776, -.499}, {.187, .135, -.115, -.083}, {.734, .216, -.065, .127},
	{.293, -.224, -.129, -.739}, {.736, .218, -.066, .124}, {.139, .118, -.543, -.241},
}

// persistence is the correlation of a patient's latent state from one study to the next.
const persistence = 0.8

// Study is one scan of one patient: who, and what is in the image.
type Study struct {
	Patient  string          // "train_7"
	ID       string          // "train_7_a"
	Split    string          // "train" or "valid"
	Volumes  int             // reconstructions, 1 or 2: a soft kernel, then perhaps a sharp one of the same scan
	Findings [nFindings]bool // in the image; order of the package's Findings

	seed          uint64
	patient, scan int // numbers that key the substreams
}

// VolumeName is the file name of reconstruction number k, from 1.
func (s Study) VolumeName(k int) string { return fmt.Sprintf("%s_%d.nii.gz", s.ID, k) }

func (s Study) stream(name string) stream { return substream(s.seed, name, s.patient, s.scan) }

// ofPatient starts a stream that all studies of the patient share.
func (s Study) ofPatient(name string) stream { return substream(s.seed, name, s.patient) }

// Draw lists the studies that Write makes, in order, without making them. More studies only add to the end of the list.
func Draw(o Options) ([]Study, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	var out []Study
	count := map[string]int{}
	first := substream(o.Seed, "split")
	phase := first.u()
	for p := 0; len(out) < o.Studies; p++ {
		split := "train"
		if f := o.ValidFraction; math.Floor(float64(p+1)*f+phase) > math.Floor(float64(p)*f+phase) {
			split = "valid"
		}
		count[split]++
		r := substream(o.Seed, "patient", p)
		scans := 1
		if r.chance(0.2) { // CT-RATE: 1.2 scans a patient
			scans = 2
		}
		for k := 0; k < scans && len(out) < o.Studies; k++ {
			s := Study{Split: split, Patient: fmt.Sprintf("%s_%d", split, count[split]), Volumes: 1, seed: o.Seed, patient: p, scan: k}
			s.ID = s.Patient + "_" + string(rune('a'+k))
			if q := s.stream("volumes"); q.chance(2. / 3) { // CT-RATE: 1.95 volumes a scan; here 1.67
				s.Volumes = 2
			}
			s.Findings = drawFindings(s)
			for i, name := range Findings {
				s.Findings[i] = s.Findings[i] && (o.Findings == nil || slices.Contains(o.Findings, name))
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// drawFindings samples the copula; a patient's second study starts from the latent state of the first.
func drawFindings(s Study) (f [nFindings]bool) {
	z := latent(substream(s.seed, "findings", s.patient, 0))
	if s.scan > 0 {
		fresh := latent(s.stream("findings"))
		for i := range z {
			z[i] = persistence*z[i] + math.Sqrt(1-persistence*persistence)*fresh[i]
		}
	}
	if r := s.stream("healthy"); r.chance(healthy) {
		return f
	}
	for i := range f {
		f[i] = z[i] > upperQuantile(prevalence[i]/(1-healthy))
	}
	return f
}

// latent is one draw of eighteen correlated standard Gaussians.
func latent(r stream) (z [nFindings]float64) {
	var f [4]float64
	for k := range f {
		f[k] = r.normal()
	}
	for i := range z {
		own := 1.0
		for k, l := range loading[i] {
			z[i] += l * f[k]
			own -= l * l
		}
		z[i] += math.Sqrt(own) * r.normal()
	}
	return z
}

// upperQuantile is the t with P(Z > t) = p for a standard Gaussian.
func upperQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(1-2*p) }
