package phantom

import "strings"

// family is one way of writing reports. Clauses start in lower case and end without a full stop, so that they stand alone
// or after "but"; everything else is a whole sentence. Slots in braces are filled from the study's facts:
//
//	{lobe} "right upper lobe"    {lungs} "right lung", "both lungs"    {side} "right", "bilateral"    {size} "7 mm", "0.7 cm"
//	{station} of a lymph node    {noun}, {list} of findings            {clause} of a finding that is present
type family struct {
	present  [nFindings][]string // clauses; of a device see devices
	hedged   [nFindings][]string // clauses that leave it open
	absent   [nFindings][]string // sentences
	noun     [nFindings]string   // singular without an article
	title    [nFindings][]string // items of an impression
	devices  map[string][]string // clauses by Fact.Kind
	vessels  []string            // sentences: aorta and coronary arteries both calcified
	nodes    []string            // sentences: small nodes are seen
	removed  []string            // sentences: a device that is no longer there
	before   []string            // sentences that deny a {list} from its front
	after    []string            // and from its end
	but      []string            // sentences: no {noun}, but {clause}
	gone     []string            // sentences: {noun} of an earlier examination has gone
	maybe    []string            // items of an impression: perhaps {noun}
	normal   []string            // impressions without a finding
	advice   []string            // last sentences of an impression
	window   []string            // sentences that announce the lung window
	neutral  [nSections][]string // sentences that concern none of the eighteen
	clinical []string            // ClinicalInformation_EN
	tech     []string            // Technique_EN
}

// The sections of a report, in CT-RATE's order.
const (
	secLimits = iota
	secAirway
	secVessels
	secHeart
	secGullet
	secNodes
	secLungs
	secPleura
	secAbdomen
	secBones
	nSections
)

var sectionOf = [nFindings]int{
	material: secVessels, arterialCalc: secVessels, cardiomegaly: secHeart, pericardialEffusion: secHeart,
	coronaryCalc: secHeart, hiatalHernia: secGullet, lymphadenopathy: secNodes, emphysema: secLungs, atelectasis: secLungs,
	nodule: secLungs, opacity: secLungs, fibrosis: secLungs, pleuralEffusion: secPleura, mosaic: secLungs,
	peribronchial: secLungs, consolidation: secLungs, bronchiectasis: secLungs, septal: secLungs,
}

// together are findings that one negation may deny at once.
var together = [][]int{{pericardialEffusion, pleuralEffusion}, {consolidation, nodule, opacity}, {bronchiectasis, peribronchial, septal}, {emphysema, mosaic}, {atelectasis, fibrosis}}

// strings lists every template of the family, for the test that no two families share one.
func (f *family) strings() []string {
	var out []string
	for _, group := range [][nFindings][]string{f.present, f.hedged, f.absent, f.title} {
		for _, l := range group {
			out = append(out, l...)
		}
	}
	for _, l := range f.devices {
		out = append(out, l...)
	}
	for _, l := range f.neutral {
		out = append(out, l...)
	}
	for _, l := range [][]string{f.vessels, f.nodes, f.removed, f.before, f.after, f.but, f.gone, f.maybe, f.normal, f.advice, f.window, f.clinical, f.tech} {
		out = append(out, l...)
	}
	return out
}

// fits tells whether every slot of the template has something to say.
func (f Fact) fits(template string) bool {
	for slot, ok := range map[string]bool{"{lobe}": f.Lobe != "", "{station}": f.Lobe != "", "{size}": f.SizeMM > 0, "{side}": f.Side != "", "{lungs}": f.Side != ""} {
		if !ok && strings.Contains(template, slot) {
			return false
		}
	}
	return true
}

// choose picks one of the templates that the fact can fill; every list has one without slots.
func (f Fact) choose(r *stream, templates []string) string {
	var ok []string
	for _, t := range templates {
		if f.fits(t) {
			ok = append(ok, t)
		}
	}
	return pick(r, ok)
}
