package pipelines

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// layers says who may import whom: a package may import its own layer's rows and no others of ours.
var layers = []struct {
	prefix string   // of the package
	may    []string // prefixes of ours that it may import
}{
	{"silverbeam/pkg/", []string{"pkg/"}},
	{"silverbeam/schemas", []string{"pkg/"}},
	{"silverbeam/transforms/internal/", []string{"schemas", "pkg/"}},
	{"silverbeam/transforms/", []string{"transforms/internal/", "schemas", "pkg/"}},
	{"silverbeam/pipelines", []string{"transforms/", "schemas", "pkg/"}},
	{"silverbeam/runners/cli", []string{"runners/", "pipelines", "transforms/", "schemas", "pkg/"}},
	{"silverbeam/runners/", []string{"pipelines", "transforms/", "schemas", "pkg/"}},
	{"silverbeam", []string{"runners/cli"}},
}

const beamPath = "github.com/apache/beam/"

func TestLayers(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "silverbeam/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec, seen := json.NewDecoder(strings.NewReader(string(out))), 0
	for dec.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		seen++
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "silverbeam") && !allowed(p.ImportPath, imp) {
				t.Errorf("%s must not import %s", p.ImportPath, imp)
			}
			if strings.HasPrefix(p.ImportPath, "silverbeam/pkg/") && strings.HasPrefix(imp, beamPath) {
				t.Errorf("%s must not import Beam (%s)", p.ImportPath, imp)
			}
		}
	}
	if seen < 10 {
		t.Fatalf("go list named %d packages: too few to be all", seen)
	}
}

func allowed(pkg, imp string) bool {
	for _, l := range layers {
		if !strings.HasPrefix(pkg, l.prefix) {
			continue
		}
		for _, m := range l.may {
			if strings.HasPrefix(imp, "silverbeam/"+m) {
				return true
			}
		}
		return false
	}
	return false
}
