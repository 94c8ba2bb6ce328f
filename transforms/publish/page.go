// Package publish shows a run to people.
package publish

// Name is the step's type.
const Name = "publish.Page"

// Options is the config block of a publish.Page step.
type Options struct {
	ReportText bool `yaml:"report_text"` // show reports in the gallery; the page is then marked as holding them
}

// Validate has nothing to refuse.
func (Options) Validate() error { return nil }
