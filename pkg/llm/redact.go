package llm

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"
)

// redactVersion names what this file makes of a report.
const redactVersion = "redact/2"

// Removed counts what was taken out of reports, by kind: section, header, name, date, record, phone, email, ssn, address,
// device, age, url, ip.
type Removed map[string]int

// Add adds the counts of another text.
func (r Removed) Add(o Removed) {
	for kind, n := range o {
		r[kind] += n
	}
}

// redactor reads the sections of reports that are to be redacted.
type redactor struct {
	*rules.Labeler
	only string // "findings" or "impression": the one section that is sent; "": both
}

// redactor is nil where reports are sent whole.
func (o Options) redactor(s site, t *taxonomy.Taxonomy) (*redactor, error) {
	if !o.redacts(s) {
		return nil, nil
	}
	l, err := rules.New(t, rules.Options{})
	return &redactor{l, o.section()}, err
}

// Sends are what Options.Send may be, beside "".
var Sends = []string{"redacted", "findings", "impression", "whole"}

// section is the one that is sent; "": all that a report states.
func (o Options) section() string {
	if o.Send == "findings" || o.Send == "impression" {
		return o.Send
	}
	return ""
}

// redaction names what is made of a report; it is part of the identity of its answers.
func (r *redactor) redaction() string { return strings.TrimSpace(redactVersion + " " + r.only) }

func (o Options) redacts(s site) bool {
	return o.Send == "redacted" || o.section() != "" || o.Send == "" && !s.local && s.fake == nil
}

// Redaction names what is taken out of reports before they are sent; "": nothing is.
func (o Options) Redaction() string {
	if all, err := parseSites(o.Endpoint); err == nil && o.redacts(all[0]) {
		return (&redactor{only: o.section()}).redaction()
	}
	return ""
}

// strip is the one way from a report to what is asked about it: normalised, and redacted unless r is nil.
func strip(r *redactor, report string) (string, Removed) {
	text := normalise(report)
	if r == nil {
		return text, nil
	}
	return r.redact(text)
}

// redact leaves what a report states, without its background (history, technique, comparison, header fields) and without
// identifiers. It reduces what leaves the machine and certifies nothing: docs/privacy.md has its measured recall.
func (r *redactor) redact(report string) (string, Removed) {
	removed := Removed{}
	named := identify(report) // a name that a header tells is looked for in all of the text
	var b strings.Builder
	at := 0
	for _, s := range r.Background(report, r.only) {
		removed["section"]++
		writeRedacted(&b, report, at, s.From, named, removed)
		at = s.To
	}
	writeRedacted(&b, report, at, len(report), named, removed)
	return normalise(b.String()), removed
}

// writeRedacted writes a part of the report, a kind in brackets for each identifier; header fields leave without trace.
func writeRedacted(b *strings.Builder, report string, from, to int, found []identifier, removed Removed) {
	for _, f := range found {
		if f.to <= from || f.from >= to {
			continue
		}
		removed[f.kind]++
		b.WriteString(report[from:max(f.from, from)])
		if f.kind != "header" {
			b.WriteString("[" + f.kind + "]")
		}
		from = min(f.to, to)
	}
	b.WriteString(report[from:to])
	if to < len(report) && !strings.HasSuffix(b.String(), "\n") {
		b.WriteByte('\n')
	}
}

// identifier is a place in a text that tells whose it is.
type identifier struct {
	from, to int
	kind     string
}

// form is one way to write an identifier. Its first group, where it has one, is what is removed. ok, if not nil, judges
// the match and what follows it.
type form struct {
	kind, pattern string
	ok            func(match, after string) bool
}

const (
	month = `(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`
	// of German, French, Turkish, Spanish, Italian, Dutch, Polish and Portuguese
	monthAbroad = `(?:januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre|` +
		`ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık|enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre|` +
		`gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|januari|februari|maart|mei|augustus|` +
		`stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|października|listopada|grudnia|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|dezembro)`
	day   = `(?:[12]\d|3[01]|0?[1-9])`
	year  = `(?:(?:19|20)\d\d)`
	clock = `(?:T\d\d:?\d\d(?::?\d\d)?Z?|\b(?:,?\s+(?:at\s+)?\d{1,2}:\d\d(?::\d\d)?(?:\s?[ap]\.?m\b\.?)?)?)` // ends the word, too
	// what follows the number's name: "number", "no.", "#", ":"
	numbered = `(?:[ \t]*(?:number|num\b|no\b|nr\b|id\b|code)\.?)?[ \t]*[#:=]*[ \t]*(?:is\s+)?`
	street   = `(?:street|str|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|court|place|square|terrace|close|crescent|parkway|pkwy|highway|hwy|way)`
	states   = `(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY])`
)

const (
	first   = `(?:\b[A-Z]|[À-ÖØ-ÞĀĂĄĆĊČĎĐĒĘĚĞĢİĶĹĻĽŁŃŅŇŌŐŒŔŘŚŞŠŢŤŪŮŰŲŹŻŽȘȚΑ-ΩА-Я])` // \b knows ASCII alone
	capital = first + `[\pL'’.-]*`
	// what a house of medicine is called, before its own name and after it
	houseOf = `(?:(?:Universitäts)?[Kk]linikum|Universitätsklinik|Klinik|Praxis|Hôpital|Hopital|CHU|CHRU|CHR|Clinique|Centre Hospitalier|Hospital|Clínica|Clinica|Centro(?: de Salud| Médico)|Sanatorio|Ospedale|Policlinico|Azienda Ospedaliera|Istituto|Szpital|Klinika|Medisch Centrum|Institut)`
	house   = `(?:Hospital|Infirmary|Clinic|Medical Cent(?:er|re)|Health Cent(?:er|re)|Health Sciences Cent(?:er|re)|Cancer Cent(?:er|re)|Diagnostic Cent(?:er|re)|Imaging Cent(?:er|re)|Healthcare|Health System|` +
		`Diagnostic Imaging|Imaging(?: Associates| Group| Partners)?|Radiology(?: Associates| Group| Partners|, P\.C\.)|Medical Group|Medical Associates|Nursing Home|Hospice|District General|(?:Cancer |Heart )?Institute(?: of [A-Z]\pL+(?: [A-Z]\pL+)?)?|` +
		`(?:Şehir |Devlet |Eğitim ve Araştırma )?Hastanesi|Tıp Merkezi|(?:Üniversitesi )?Tıp Fakültesi|Ziekenhuis|Krankenhaus|Kliniken|Spital)`
	// names of fields in headers, of some countries
	fieldAbroad = `(?:patientin|name des patienten|geb(?:oren|\.|urtsdatum)?(?: am)?|fall(?:nummer|nr\.?)|versichert(?:en)?n(?:umme)?r\.?|untersuchungsdatum|zuweiser(?:in)?|überweiser|adresse|` +
		`nom|prénom|né(?:e|\(e\))?(?: le)?|date de naissance|date d[e'’] ?(?:l[a'’] ?)?(?:examen|étude)|ipp|n[°o]? ?(?:de )?(?:sécurité sociale|dossier)|prescripteur|médecin[\pL ]*|demandeur|tél(?:éphone)?|` +
		`hasta[\pL ]*|t\. ?c\.[\pL ]*|doğum tarihi|protokol(?: no)?|tetkik tarihi|[\pL]*(?:tarihi|doktor)|[İi]steyen[\pL ]*|` +
		`paciente|nhc|dni|nie|fecha[\pL ]*|médico[\pL ]*|teléfono|dirección|paziente|nato(?:/a)?(?: il)?|nata(?: il)?|data[\pL ]*|codice fiscale|medico[\pL ]*|indirizzo|` +
		`naam|geboortedatum|bsn|patiëntn(?:umme)?r|aanvrager|adres|pacjent(?:ka)?|pesel|lekarz[\pL ]*|` +
		`uhid|aadhaar|phn|health card[\pL .]*|pps(?: no\.?)?|ref\.? by|reg(?:istration)?\.?(?: (?:date|no))?|age/sex|client|born|copies|family doctor|forename|surname)`
)

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// forms are tried in this order, and what one has taken is no longer there for the next.
var forms = []form{
	{"header", `(?im)^[\s*#>|-]*(?:patient(?:'?s)?(?:\s+(?:name|id|no|number|details|address|phone|class|location))?|pt(?:\s+name)?|name|(?:sur|last |first |family |given )name|d\.?o\.?b\.?|date of birth|birth ?date|born|` +
		`(?:med(?:ical)?\.? rec(?:ord)?\.?|mrn|mr|hospital|nhs|chi|chart|account|acct|visit|encounter|episode|case|order|requisition|accession|acc|exam|study|file|ssn|social security|insurance|policy|member|health card)(?:\s*(?:number|num|no|nr|id|uid|#)\.?)?|report\s*(?:number|num|no|nr|id|uid|#)\.?|mrn|ssn|` +
		`(?:exam(?:ination)?|study|scan|report|service|visit|admission|admit|discharge|procedure|acquisition|print|result|transcription|dictation|request|order|signed?|completed)?\s*(?:date|time|date\s*(?:/|and|&)\s*time)(?:\s+of\s+(?:exam(?:ination)?|study|scan|service|report|procedure|admission|discharge|dictation|transcription))?|` +
		`(?:referring|ordering|requesting|attending|consulting|primary care|family|reporting|reading|interpreting|responsible|admitting)(?:\s+(?:physician|doctor|dr|md|provider|clinician|consultant|radiologist))?|referrer|referred by|requested by|requestor|ordered by|` +
		`radiologist|resident|fellow|attending|physician|consultant|provider|technologist|radiographer|transcriptionist|typist|gp|pcp|cc|copy to|copies to|attn|to|from|ward|clinic|unit|room|bed|site|institution|hospital|facility|department|dept|address|phone|telephone|tel|fax|pager|e-?mail|mobile|next of kin|insurance|employer|` +
		`scanner serial|station|signed|(?:electronically )?(?:signed|dictated|transcribed|approved|verified|reported|authenticated|finali[sz]ed|reviewed|read|interpreted|typed|authori[sz]ed)(?:\s+(?:by|on|date|electronically))?)\s*[:=][^\n]*`, nil},
	{"header", `(?im)^(?:` + fieldAbroad + `)\s*[:=][^\n]*`, nil},
	{"header", `(?m)^(?:Patient|Study|Series|Institution|Referring|Requesting|Performing|Accession|Operators|Physician|Station|SOP|Other)[A-Z][A-Za-z]+\s*[:=][^\n]*`, nil}, // DICOM's keywords (PS3.6)
	{"header", `(?m)^(?:MSH|EVN|PID|PD1|NK1|PV1|PV2|ORC|OBR|IN1|GT1|ZDS|PRT)\|[^\n]*`, nil},                                                                                 // HL7 v2 segments
	{"header", `(?im)^(?:[^\n.]|\.[^\n ])*\b(?:mrn|d\.?o\.?b|csn|fin|uhid|ur no|nhs n(?:o|umber))\b(?:[^\n.]|\.[^\n ])*\.?$`, manyFigures},
	{"name", capital + `(?: ` + capital + `){0,2}\^` + capital + `(?:[\^ ][\pL'’.-]*)*`, nil}, // PN, XPN
	{"email", `(?:\b[\w.%+-]|[À-\x{52F}])[\pL\d._%+-]*@[\pL\d-]+(?:\.[\pL\d-]+)*`, nil},
	{"url", `(?i)\b(?:https?|ftp)://\S+|\bwww\.\S+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|health|nhs\.uk|co\.uk)\b(?:/\S*)?`, nil},
	{"record", `\b[0-2](?:\.\d+){5,}`, nil}, // DICOM UIDs (PS3.5, 9)
	{"phone", `\b0\d(?:[. ]\d\d){4}\b`, nil},
	{"ip", `\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{0,4}\b`, nil},
	{"device", `(?i)\b(?:serial|s/n|sn|lot|udi|device id|asset)` + numbered + `([a-z0-9][a-z0-9./-]*\d[a-z0-9/-]*)`, digits(3)},
	{"ssn", `\b\d{3}[- ]\d{2}[- ]\d{4}\b`, nil},
	{"date", `(?i)\b` + year + `\s?[-/.]\s?(?:1[0-2]|0?[1-9])\s?[-/.]\s?` + day + `` + clock + `|\b` + day + month + `(?:` + year + `|\d\d)` + clock, nil},
	{"date", `(?i)\b` + day + `(?:\s?/\s?|[-.])` + day + `(?:\s?/\s?|[-.])(?:` + year + `|\d\d)` + clock, oneMonth},
	{"date", `(?i)\b` + day + `(?:st|nd|rd|th)?(?:\s+of)?[\s./-]*` + month + `\b\.?(?:[\s,./'’-]*(?:` + year + `|\d\d\b))?` + clock, notMayBe},
	{"date", `(?i)\b` + day + `(?:\.|er|º|°)?[ -](?:de )?` + monthAbroad + `(?:[ -](?:de[l]? )?` + year + `)?`, nil},
	{"date", `\b` + day + `\. ` + day + `\. ` + year + `\b`, oneMonth},
	{"date", `(?i)\b` + month + `\.?\s*` + day + `(?:st|nd|rd|th)?\b(?:,?\s*(?:` + year + `|'\d\d))?` + clock, notMayBe},
	{"date", `(?i)\b` + month + `[\s,./-]*(?:of\s+)?(?:` + year + `|['’]\d\d)`, nil},
	{"date", `\b(?:1[0-2]|0?[1-9])\s?[/.-]\s?` + year + `\b|\b(?:19|20)\d\d[/-](?:0[1-9]|1[0-2])\b`, nil},
	{"date", `\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4}|\d{6})?\b`, nil},
	{"date", `(?i)\b(?:on|dated|since|from|prior|previous|ct|exam|examination|study|scan|compared (?:to|with)(?: the)?)(?: of| from| dated| on)?\s+(` + day + `[/.]` + day + `)\b`, oneMonth},
	{"date", `(?:\b(?:[Ii]n|[Ss]ince|[Ff]rom|[Dd]uring|[Uu]ntil|[Ll]ast|[Ee]arly|[Ll]ate|[Mm]id|[Oo]f)[\s-]+)(January|February|March|April|May|June|July|August|September|October|November|December)\b`, nil},
	{"phone", `(?i)\b(?:tel(?:ephone)?|phone|pager|page|ext(?:ension)?|bleep|beeper|fax|call(?:ed)?|mobile|cell|reached at|contact(?:ed)?(?: at)?|hotline|extn|dial|ring|office|home|line|local|tél|gsm|mob|ph)\b` + numbered + `(?:at\s+|on\s+|is\s+)?(\+?\(?\d[\d ()./-]{2,}\d(?:,? ?(?:ext\.?|x) ?\d+)?)`, nil},
	{"phone", `(?i)\b(?:tel(?:ephone)?|phone|office|call|fax|pager|bleep|at|ext)\b[.:]*\s(x\d{4,5})\b`, nil},
	{"phone", `\b0\d{0,4}(?: ?[ ./-] ?\(?\d{2,7}\)?){1,5}\b|\b0 ?\(\d{2,4}\)(?:[ -]?\d{2,4}){2,4}\b`, digits(8)},
	{"phone", `\b(?:at|to) (\d{3}-\d{4})\b`, nil},
	{"phone", `\(\d{2,5}\) ?\d{3,7}(?:[-. ]?\d{3,5})?(?:,? ?(?:ext\.?|x) ?\d+)?\b`, digits(8)},
	{"phone", `\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}\b|\(\d{2,5}\)\s?\d{3,4}[-. ]?\d{3,4}\b|\b(?:1[-. ])?\d{3}[-.]\d{3}[-.]\d{4}\b|\b\d{3} \d{3} \d{4}\b|\b0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4}\b`, nil},
	{"record", `(?i)\b(?:mrn|mr ?#|med(?:ical)? rec(?:ord)?|accession|acc|(?:patient|hospital|unit|nhs|chi|hn|case|order|account|acct|visit|encounter|episode|specimen|study|exam|examination|requisition|reference|job|protocol|lab|board|reg|uhid|licence|member|gmc|imc|npi|col|ref|insurance|policy|member|chart|file|registration|report|request|folder|licen[cs]e|id|number|no)\b)` + numbered + `([a-z0-9][a-z0-9/.-]*\d[a-z0-9/-]*(?: \d{3,4}){0,2})`, digits(4)},
	{"record", `\b(?:[A-Z]{1,4}[-/ ]?\d{2,4}[-/]\d{3,}|[A-Z]{1,4}-?\d{6,}[A-Z]{0,3}|(?:19|20)\d\d[-/]\d{5,}|\d{2}-\d{3}-\d{4,}|\d{5,9}-?[A-Z]{1,3}|[A-Z]-(?:20)?\d\d-\d{4,}|\d\d[A-Z]{2}\d{4,}|[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]|\d{3}\.\d{3}\.\d{3}|\d{2,4}-[A-Z]{1,3}-?\d{4,}|\d{7,}|\d{2,3}-\d{2,3}-\d{2,4})\b`, nil},
	{"record", `\b\d{1,6}(?:[ -][\dA-Z]{1,6}){2,6}\b`, digits(9)}, // national numbers are in groups
	{"age", `(?i)\b(?:9\d|1[0-2]\d)[\s-]*(?:years?|yrs?|y)[\s/.-]*(?:old|of age|o)\b\.?|\b(?:aged?|age of)\s+((?:9\d|1[0-2]\d))\b|\b(?:9\d|1[0-2]\d)\s?(?:yo|y/o|y\.o\.)|\bnonagenarian\b|\bcentenarian\b`, nil},
	{"address", `\b(?:(?:Flat|Unit|Apt\.?|Suite|Plot No\.?) \w+[,/] ?)?\d{1,5}[a-z]?(?:/\d+)?,?\s+(?:(?:\p{Lu}[\pL'’]*\.?|\d{1,3}(?:st|nd|rd|th))\s+){1,4}(?i:` + street + `)\b\.?(?:,? (?:North|South|East|West|[NSEW][EW]?)\b\.?)?` +
		`(?:,?\s*(?i:apt|apartment|suite|unit|floor|flat)\.?\s*#?\w+)?(?:, ?[\p{Lu}\d][\pL\d'’-]*(?: [\p{Lu}\d][\pL\d'’-]*){0,4}){0,3}`, spelt},
	{"address", `(?i)\b\d{1,5}[a-z]?,?\s+(?:[\pL'’.]+\s+){1,3}` + street + `\b\.?(?:,?\s*(?:apt|apartment|suite|unit|floor|flat)\.?\s*#?\w+)?(?:,\s*[\pL .]+,\s*[a-z]{2}\s+\d{5}(?:-\d{4})?)?`, spelt},
	{"address", `(?:\b\d{1,4}(?: ?(?:bis|ter))?,? )?\b(?:rue|avenue|boulevard|allée|chemin|impasse|quai|place|[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Cc]alle|C/|Avda\.?|Avenida|Plaza|Paseo|Rua) (?:(?:de|la|le|les|des|du|del|della|di|d['’]|l['’])\s?){0,3}` + capital +
		`(?: ` + capital + `){0,3}(?:,? \d{1,4}\b(?:, \d[ºª°] ?\w?)?)?(?:(?:,| -) \d{4,5} ` + capital + `)?(?:, ` + capital + `)?`, digits(1)},
	{"address", `(?:` + first + `\pL+ ){0,2}(?:` + first + `\pL*)?(?:[Ss]traße|[Ss]trasse|[Ss]tr\.|[Ww]eg|[Pp]latz|[Gg]asse|[Aa]llee|[Mm]arkt|gracht|straat|laan|plein|kade|singel|Cad\.|Sok\.) (?:No:? ?)?\d{1,4} ?[a-z]?\b(?:,? \d{4,5}(?: [A-Z]{2})? ` + capital + `)?`, nil},
	{"address", `, \d{4,5}(?: [A-Z]{2})? ` + capital + `|,? (?:` + capital + ` ){1,2}(?:VIC|NSW|QLD|TAS|ACT|AB|BC|MB|NB|NS|ON|QC|SK)\b(?: (?:\d{4}|[A-Z]\d[A-Z] ?\d[A-Z]\d))?|\b[A-Z]\d[A-Z] ?\d[A-Z]\d\b`, nil},
	{"address", capital + `(?: ` + capital + `)?, ` + capital + `(?: ` + capital + `)? \d{5}(?:-\d{4})?\b`, nil},
	{"address", `\b(?:[A-Z][\pL.]+,?\s+){0,3}` + states + `,?\s+\d{5}(?:-\d{4})?\b|(?i)\bzip(?: code)?:?\s*\d{5}(?:-\d{4})?|\bp\.? ?o\.? box \d+`, nil},
	{"address", `\b[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b`, nil}, // UK postcodes; their inward letters spare "T4 5MM"
	{"address", `(?:St\.? |Saint )?(?:` + first + `[\pL'’-]+ (?:of |and |& )?){1,4}(?:(?:General |University |Community |Regional |Memorial |Medical |Health |Children's |VA )*` + house + `)(?: NHS(?: Foundation)? Trust|, P\.C\.)?`, nil},
	{"address", `(?:` + first + `[\pL'’.]+[ -]){1,5}` + house, nil},
	{"address", `\b(?:Radiologische )?` + houseOf + ` (?:(?:de|des|du|d['’]|la|las|los|der|am|im|rechts|del|della|di|do|da|St\.|Universitario) ?){0,3}` + capital + `(?: ` + capital + `){0,3}`, nil},
	{"address", `(?m)^(?:[A-Z][A-Z'’.-]+ ){1,5}(?:HOSPITAL|INFIRMARY|CLINIC|MEDICAL CENT(?:ER|RE)|HEALTH CENT(?:ER|RE)|IMAGING|IMAGING ASSOCIATES|INSTITUTE|RADIOLOGY, P\.C\.)$`, nil},
	{"name", `\b[A-Z]{2,4}[:/][a-z]{2,3}\b`, nil}, // who dictated, who typed
	{"name", `\b[Pp]atient:? (` + capital + `(?: ` + capital + `)?, ` + capital + `(?: [A-Z]\b\.?)?)`, nil},
	{"name", `(?m)^(` + capital + `(?: ` + capital + `)?, ?` + capital + `(?: [A-Z]\b\.?)?) (?:[|#/]|\x01)`, nil},
}

// manyFigures asks for a number beside the label.
func manyFigures(match, after string) bool { return digits(5)(match, after) }

// digits asks for so many digits in what is removed: "order 12" is no record.
func digits(n int) func(string, string) bool {
	return func(match, _ string) bool {
		have := 0
		for _, r := range match {
			if unicode.IsDigit(r) {
				have++
			}
		}
		return have >= n
	}
}

// oneMonth asks that one of the first two numbers be a month, and refuses shares and ranges: "2/3 of".
func oneMonth(match, after string) bool {
	f := strings.FieldsFunc(match, func(r rune) bool { return !unicode.IsDigit(r) })
	a, _ := strconv.Atoi(f[0])
	b, _ := strconv.Atoi(f[1])
	return (a <= 12 || b <= 12) && !unit.MatchString(after)
}

var (
	unit   = re(`^\s*(?:of\b|mm\b|cm\b|x\b|×|%)`)
	inYear = re(`^\D*\d{4}`)
	ofDay  = re(`\d\D*\d{4}|may \d|\d(?:st|nd|rd|th) `)
)

// notMayBe spares the verb: "segment 6 may be".
func notMayBe(match, _ string) bool {
	if before, after, ok := strings.Cut(match, ". May"); ok && before != "" && !inYear.MatchString(after) {
		return false // a sentence begins
	}
	return !strings.Contains(match, "may") && !strings.HasPrefix(match, "MAY") || ofDay.MatchString(match)
}

// spelt asks for a street's name in capitals: "3 small nodules close" is none.
func spelt(match, _ string) bool {
	for _, w := range strings.Fields(match)[1:] {
		if r, _ := utf8.DecodeRuneInString(w); !unicode.IsUpper(r) && !unicode.IsDigit(r) && r != '#' {
			return false
		}
	}
	return strings.ToUpper(match) != match || !strings.Contains(match, "WAY")
}

// finding finds the forms, then the openers, then the credentials.
var finding = sync.OnceValue(func() *finder {
	var patterns []string
	for _, f := range forms {
		patterns = append(patterns, f.pattern)
	}
	return newFinder(append(append(patterns, openers...), credentials))
})

// identify finds the identifiers of a text, in order and apart from each other.
func identify(text string) (found []identifier) {
	left := finding().in(text) // what was taken is blotted out, byte for byte
	take := func(from, to int, kind string) {
		found = append(found, identifier{from, to, kind})
		left.blotOut(from, to)
	}
	names := map[string]bool{}
	for i, f := range forms {
		for _, m := range left.all(i) {
			from, to := m[0], m[1]
			for g := 2; g+1 < len(m); g += 2 {
				if m[g] >= 0 {
					from, to = m[g], m[g+1]
				}
			}
			if f.kind == "header" {
				to = fieldEnd(text, from, to)
			}
			if from == to || f.ok != nil && !f.ok(text[from:to], text[to:]) {
				continue
			}
			if f.kind == "header" {
				learnNames(text[from:to], names)
			}
			take(from, to, f.kind)
		}
	}
	for _, n := range findNames(left) {
		for _, w := range wordsOf(text[n.from:n.to]) {
			names[w] = true
		}
		take(n.from, n.to, n.kind)
	}
	if len(names) > 0 {
		rest := left.rest()
		for _, w := range splitWords(rest) { // the same names again, without a title
			if s := rest[w.from:w.to]; len(s) > 2 && names[s] && !common[strings.ToLower(s)] {
				take(w.from, w.to, "name")
			}
		}
	}
	slices.SortFunc(found, func(a, b identifier) int { return cmp.Compare(a.from, b.from) })
	return found
}

var fieldOf = re(`(?i)\b(?:patient|name|physician|doctor|radiologist|referrer|referring|by|cc|attn)\b[^:=\n]*[:=]\s*([^\n]*)`)

// learnNames notes the capitalised words of a header field that holds a name.
func learnNames(field string, names map[string]bool) {
	m := fieldOf.FindStringSubmatch(field)
	if m == nil {
		return
	}
	if value, _, ok := strings.Cut(m[1], ":"); ok {
		m[1] = value
	}
	for _, w := range wordsOf(m[1]) {
		names[w] = true
	}
}

func wordsOf(s string) (words []string) {
	for _, w := range splitWords(s) {
		if isProper(s[w.from:w.to]) {
			words = append(words, s[w.from:w.to])
		}
	}
	return words
}

var bodyHeading = re(`\b(?i:findings|impression|conclusion|opinion|report|summary|lungs?|chest|heart|result)\s*:`)

// isProper says whether a word is written as names are: Smith, d'Angelo, al-Rashid.
func isProper(s string) bool {
	for _, prefix := range []string{"d'", "d’", "l'", "l’", "al-", "el-", "t'"} {
		s = strings.TrimPrefix(s, prefix)
	}
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r)
}

// fieldEnd ends a header field before a heading on the same line: "Name: A B  FINDINGS: ...".
func fieldEnd(text string, from, to int) int {
	colon := from + strings.IndexAny(text[from:to], ":=")
	if at := bodyHeading.FindStringIndex(text[colon+1 : to]); at != nil {
		return colon + 1 + at[0]
	}
	return to
}

// splitWords gives the words of a text: letters, with what may stand inside a name.
func splitWords(text string) (words []identifier) {
	from := -1
	for i, r := range text + " " {
		inside := unicode.IsLetter(r) || from >= 0 && (r == '\'' || r == '’' || r == '-')
		switch {
		case inside && from < 0:
			from = i
		case !inside && from >= 0:
			words = append(words, identifier{from: from, to: from + len(strings.TrimRight(text[from:i], "-'’"))})
			from = -1
		}
	}
	return words
}

// openers come before a name.
var openers = []string{
	`\b(?:Dr|DR|dr|Prof|PROF|prof|Professor|PROFESSOR|Doctor|DOCTOR|doctor|Mr|Mrs|MRS|Ms|Miss|Mx|Dres|Drs|drs|Docteur|Pr|Dra|Dott(?:\.ssa)?|Nurse(?: [Pp]ractitioner)?|Herrn?|Frau|Mme|Mlle|Madame|Monsieur|Señora?|Sra|Sig(?:\.ra)?|Signora?|Mevr|Dhr|Sayın|Uzm|Smt|Shri|lek)\b\.?\s*|\bMR\.\s|\bMS\.\s`,
	`(?i)\b(?:signed|dictated|reported|read|reviewed|verified|approved|transcribed|interpreted|authenticated|finali[sz]ed|authori[sz]ed|performed|requested|referred|supervised|typed|acknowledged|confirmed|checked|accepted|ordered|received|seen|noted|chaired|supervised|collected|resected|firmado|validated)(?:\s(?:on\s)?\x01+|\s+by\s+\x01+,?)*\s+(?:by|por):?\s+`,
	`(?i)\b(?:discussed|communicated|conveyed|relayed|reviewed|shared|consulted|agreed|telephoned|reported|given|called|phoned|spoken|spoke|results)(?:\s+[\pL,]+){0,6}?\s+(?:with|to)\s+`,
	`/[sS]/\s+|\b(?:M|Sr)\.\s|\b[Gg]ez\.\s+|\b[Ff]do\.:?\s+|(?i)\bsignature\)?:\s+|\b(?:authori[sz]ed|on behalf of|in the absence of|care of|chair|surgeon|ana?esthetist|trainee|spoke with|spoken to|double-read with|second opinion|final by|prelim by)[:,]?\s+|\bpatient \(|` +
		`\b(?:daughter|son|wife|husband|mother|father|brother|partner|spouse|carer|guardian),?\s+`,
	`(?i)\b(?:notified|informed|called|paged|phoned|telephoned|contacted|cc|attn|attention|radiologist|resident|attending|consultant|referrer|fellow|technologist|radiographer|physician|named?|name is|known as|clinician)[:,]?\s+`,
}

const credentials = `,?\s+(?:M\.?D\.?|D\.O\.|MBBS|MBChB|MBBCh|FRCR|FRCPC|Ph\.?D\.?|FACR|PA-C|MRCP|FRCP|DNB|R\.N\.|CRNP|RT\(R\)|FRANZCR|FFR)(?:[\s,.;)]|$)|,\s*(?:DO|RN|NP|PA|DMRD|APRN)(?:[\s,.;)]|$)` +
	`|\n(?:Attending |Consultant |Staff |Resident |Interventional )?(?:Radiologist|Physician|Registrar)|, (?:Consultant Radiologist|Specialist Registrar|Facharzt|radiologist|radioloog)` +
	`| (?:underwent|tolerated|consented|gave consent|was informed|was advised|is advised|denies|was counselled)\b`

// findNames finds the names after titles and such words, and before credentials.
func findNames(left *left) (found []identifier) {
	text, end := left.rest(), 0
	add := func(from, to int) {
		if to > from && from >= end {
			found = append(found, identifier{from, to, "name"})
			end = to
		}
	}
	var starts [][2]int // where a name may begin; whether a title says so
	for k := range openers {
		for _, m := range left.all(len(forms) + k) {
			starts = append(starts, [2]int{m[1], k})
		}
	}
	for _, m := range left.all(len(forms) + len(openers)) {
		starts = append(starts, [2]int{nameBefore(text, m[0]), 1})
	}
	slices.SortFunc(starts, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	for _, s := range starts {
		from, to := nameAt(text, s[0], s[1] == 0)
		add(from, to)
		for to > from {
			m := another.FindStringIndex(text[to:])
			if m == nil {
				break
			}
			from, to = nameAt(text, to+m[1], false)
			add(from, to)
		}
	}
	return found
}

var another = re(`^(?:\s+(?:and|&|und|et|y)\s+|/)`)

var (
	titles    = re(`^(?:(?:Dr|DR|dr|Prof|PROF|Professor|Doctor|Mr|Mrs|Ms|Miss|med|Uzm|Op|Doç|OA|OÄ|PD|Priv)\b\.?-?\s*|MR\.\s*)+`)
	particles = map[string]bool{"van": true, "von": true, "de": true, "der": true, "den": true, "la": true, "le": true, "el": true, "al": true,
		"bin": true, "ibn": true, "di": true, "da": true, "dos": true, "del": true, "du": true, "ten": true, "ter": true, "st": true,
		"op": true, "t": true, "zu": true, "af": true, "av": true, "della": true, "dell": true, "delle": true, "san": true, "graf": true, "las": true, "los": true, "ben": true, "abu": true, "do": true, "y": true}
	gap = re(`^(?:\.?\s{1,2}|\.|,\s)$`)
)

// nameAt reads a name: up to four capitalised words or initials, particles between them. After a title, one word in small
// letters is a name too.
func nameAt(text string, from int, titled bool) (int, int) {
	if m := titles.FindStringIndex(text[from:]); m != nil {
		from, titled = from+m[1], true
	}
	rest := text[from:min(len(text), from+120)]
	to, proper, last := 0, 0, 0
	for n, w := range splitWords(rest) {
		s := rest[w.from:w.to]
		upper := isProper(s)
		between := rest[last:w.from]
		if n == 0 && w.from > 0 || n > 0 && !gap.MatchString(between) {
			break
		}
		if n > 0 && strings.HasPrefix(between, ".") && last > 0 && len(rest[prevWord(rest, last):last]) > 3 {
			break // the sentence ended
		}
		if strings.HasPrefix(between, ",") && (proper != 1 || common[strings.ToLower(s)] || titled) {
			break
		}
		lower := strings.ToLower(s)
		switch {
		case particles[lower] && proper < 3:
		case len(s) == 1 && upper && proper < 3 && (titled || strings.HasPrefix(rest[w.to:], ".")):
			proper, to = proper+1, w.to
		case common[lower], proper == 5, !upper && !(titled && n == 0 && len(s) > 2):
			return from, from + to
		default:
			proper, to = proper+1, w.to
		}
		last = w.to
		if !upper && !particles[lower] {
			break
		}
	}
	return from, from + to
}

func prevWord(s string, to int) int {
	i := to
	for i > 0 && s[i-1] != ' ' && s[i-1] != '.' {
		i--
	}
	return i
}

// nameBefore is where a name that ends here begins.
func nameBefore(text string, end int) int {
	begin := max(0, end-60)
	for begin < end && !utf8.RuneStart(text[begin]) {
		begin++
	}
	words := splitWords(text[begin:end])
	from, last := end, end-begin
	for i := len(words) - 1; i >= 0 && len(words)-i <= 5; i-- {
		w := words[i]
		s := text[begin+w.from : begin+w.to]
		between := text[begin+w.to : begin+last]
		if between != "" && !gap.MatchString(between) || !isProper(s) && !particles[s] || common[strings.ToLower(s)] {
			break
		}
		if strings.HasPrefix(between, ".") && len(s) > 2 {
			break
		}
		from, last = begin+w.from, w.from
	}
	return from
}

// common are words that are written with a capital and are no names.
var common = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`a an and as at but by for from he her his i if in into is it its of off on or our out over she since so than that
		the their them then there these they this those to under until was we were when where which while who will with via per re not no yes
		are be been being has have had may might can could should would also both any all each either neither
		patient patients family mother father son daughter wife husband relative team teams ward clinic service department dept unit staff
		surgery surgeon surgical medicine medical oncology emergency radiology cardiology pulmonary pulmonology respiratory thoracic icu ed er or ct
		mri mr pet us xr chest thorax lung lungs abdomen pelvis head neck spine liver kidney heart pleural pericardial findings finding impression
		report reports result results conclusion clinical history technique comparison indication date time name phone telephone phoned called
		right left upper lower middle lobe segment series image slice prior previous recent current new old normal stable unchanged no none
		physician doctor radiologist resident attending consultant nurse fellow referring ordering requesting primary care provider clinician
		monday tuesday wednesday thursday friday saturday sunday today yesterday morning afternoon evening night noon
		january february march april june july august september october november december
		electronically signed dictated read reviewed approved verified discussed please follow recommend recommended urgent critical
		hospital infirmary centre center general university high low large small mild moderate severe acute chronic mass nodule nodules effusion
		hu suv copd ggo lad rca lv rv angiography angiogram arthrogram enterography urography venography cholangiography protocol study scan exam examination
		contrast images imaging sequence sequences multiple bilateral two three several additional further otherwise however although because
		secretary drs prof mme trachea department
		md do phd rn np pa frcr mbbs facr`) {
		m[w] = true
	}
	return m
}()

// String lists the kinds with their counts, most first: "12 date, 3 name".
func (r Removed) String() string {
	kinds := slices.SortedFunc(maps.Keys(r), func(a, b string) int { return cmp.Or(cmp.Compare(r[b], r[a]), cmp.Compare(a, b)) })
	for i, k := range kinds {
		kinds[i] = strconv.Itoa(r[k]) + " " + k
	}
	return strings.Join(kinds, ", ")
}
