package cli

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write what the commands in docs/*.md print into them")

// pages are the pages for users. Their fenced blocks are held to what they show: a block whose info string names a file,
// as in "csv reports.csv", is that file; the commands of a "console" block are run, page by page, and print what stands
// below them. A line of three dots stands for any lines.
func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(all) < 8 {
		t.Fatalf("found the pages %v: %v", all, err)
	}
	return append(all, "../../README.md")
}

func TestDocsPrintWhatTheySay(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every command of the pages")
	}
	for _, page := range pages(t) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			now := block.ReplaceAllStringFunc(string(text), func(b string) string {
				m := block.FindStringSubmatch(b)
				_, file, _ := strings.Cut(m[1], " ")
				switch {
				case m[1] == "console":
					return "```console\n" + session(t, dir, m[2]) + "```\n"
				case strings.Contains(file, "."):
					if err := os.WriteFile(filepath.Join(dir, file), []byte(m[2]), 0o644); err != nil {
						t.Error(err)
					}
				}
				return b
			})
			if *update && now != string(text) {
				if err := os.WriteFile(page, []byte(now), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

var block = regexp.MustCompile("(?ms)^```([^\n]+)\n(.*?)^```\n")

// session runs the commands of a console block in dir, the lines that begin with "$ ", in one shell, and gives the block
// with what they print now where that is not what stands there.
func session(t *testing.T, dir, text string) string {
	const end = "--- end of a command ---"
	var script bytes.Buffer
	parts := regexp.MustCompile(`(?m)^\$ `).Split(text, -1)[1:]
	var commands, want []string
	for _, p := range parts {
		command, printed, _ := strings.Cut(strings.ReplaceAll(p, "\\\n", "\x00"), "\n")
		command = strings.ReplaceAll(command, "\x00", "\\\n")
		commands, want = append(commands, command), append(want, strings.ReplaceAll(printed, "\x00", "\\\n"))
		script.WriteString(command + "\nrc=$?; echo '" + end + "'; (exit $rc)\n")
	}
	sh := exec.CommandContext(t.Context(), "bash")
	sh.Dir, sh.Stdin = dir, &script
	sh.Env = append(os.Environ(), "XDG_STATE_HOME="+dir+"/.state", "NO_COLOR=1")
	out, err := sh.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	got := strings.Split(string(out), end+"\n")
	if len(got) != len(commands)+1 {
		t.Fatalf("%d commands gave %d answers:\n%s", len(commands), len(got)-1, out)
	}
	var b strings.Builder
	for i, c := range commands {
		printed := want[i]
		if !like(want[i], got[i]) {
			if printed = got[i]; !*update {
				t.Errorf("$ %s\nprints\n%swhere the page says\n%s", c, got[i], want[i])
			}
		}
		b.WriteString("$ " + c + "\n" + printed)
	}
	return b.String()
}

// like compares what a command printed with what a page shows: times, digests and lines of progress aside.
func like(want, got string) bool {
	pattern := "^" + regexp.QuoteMeta(steady(want)) + "$"
	pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("...\n"), `(?s:.*)`)
	return regexp.MustCompile(pattern).MatchString(steady(got))
}

var (
	times    = regexp.MustCompile(`\d+\.\d+ (s|CPU-s)\b`)
	digests  = regexp.MustCompile(`\b[0-9a-f]{12,}\b`)
	progress = regexp.MustCompile(`(?m)^((\d+m)?\d+s |phantom: ).*\n`)
)

func steady(s string) string {
	return digests.ReplaceAllString(times.ReplaceAllString(progress.ReplaceAllString(s, ""), "T $1"), "DIGEST")
}

// Every command that a page names is there, with its options.
func TestDocsNameWhatIsThere(t *testing.T) {
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		root := Root()
		root.InitDefaultHelpCmd()
		for _, m := range named.FindAllString(strings.ReplaceAll(string(text), "\\\n", " "), -1) {
			if problem := unknownIn(root, m); problem != "" {
				t.Errorf("%s: %q: %s", filepath.Base(page), m, problem)
			}
		}
	}
}

// named is a command, up to what ends it in a shell, in Markdown or in a sentence. A lone option is one of some command.
var named = regexp.MustCompile("\\bsilverbeam [a-z][^`|;&<>\n]*|`--[a-z-]+")

func unknownIn(root *cobra.Command, command string) string {
	words := strings.Fields(command)
	if words[0] != "silverbeam" {
		return anywhere(root, strings.TrimPrefix(words[0], "`--"))
	}
	c, rest, err := root.Find(words[1:])
	if err != nil || c == root || c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && rest[0] != "VERB" {
		return "no such verb"
	}
	for _, w := range rest {
		name, _, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
		if strings.HasPrefix(w, "--") && name != "" && c.Flags().Lookup(name) == nil {
			return c.CommandPath() + " has no --" + name
		}
	}
	return ""
}

// anywhere finds an option of any command.
func anywhere(c *cobra.Command, option string) string {
	if c.Flags().Lookup(option) != nil {
		return ""
	}
	for _, v := range c.Commands() {
		if anywhere(v, option) == "" {
			return ""
		}
	}
	return "no verb has --" + option
}
