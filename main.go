// Command silverbeam turns chest-CT studies and their reports into labels, a data set, trained models and a page.
package main

import (
	"os"

	"silverbeam/runners/cli"
)

func main() { os.Exit(cli.Main()) }
