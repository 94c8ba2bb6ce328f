// Command silverbeam turns chest-CT studies and their reports into labels, a data set, trained models and a page.
package main

import (
	"flag"
	"os"
	"slices"
	"strings"

	"silverbeam/runners/cli"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

func main() {
	if slices.ContainsFunc(os.Args[1:], func(a string) bool { return strings.TrimPrefix(a, "-") == "-worker" || a == "--worker=true" }) {
		flag.Parse()
		beam.Init() // a worker of a runner elsewhere: it serves and does not return
	}
	os.Exit(cli.Main())
}
