package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"silverbeam/schemas"
)

// folder finds a run's folder by its path, or by the run's name under out/; also names files that mark one beside run.json.
func folder(run string, also ...string) (string, error) {
	for _, file := range append([]string{"run.json"}, also...) {
		for _, dir := range []string{run, filepath.Join("out", run)} {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return dir, nil
			} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) && !strings.Contains(err.Error(), "not a directory") {
				return "", badInput("%s: %v", dir, err)
			}
		}
	}
	return "", &Exit{codeInput, errors.New(run + ": no run here: it has no run.json"), ""}
}

// report reads run.json.
func report(dir string) (*schemas.Report, error) {
	p, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, badInput("%v", err)
	}
	var r schemas.Report
	if err := json.Unmarshal(p, &r); err != nil {
		return nil, badInput("%s: run.json: %v", dir, err)
	}
	return &r, nil
}
