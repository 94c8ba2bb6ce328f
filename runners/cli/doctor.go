package cli

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/cpu"
)

// finding is one line of the doctor's report.
type finding struct {
	What   string `json:"what"`
	Status string `json:"status"` // ok, warn or fail
	Detail string `json:"detail"`
}

func doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "look at this machine: CPU, engine, memory, disk, clock, keys present", Args: exactly(),
		Example: "  silverbeam doctor",
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []finding{cpuFinding(), {"engine", "ok", "gorgonia, on the CPU; xla where there is a PJRT plugin (docs/nets.md)"}, memoryFinding(), diskFinding("."), diskFinding(os.TempDir()), writeFinding(), clockFinding(), keyFinding(), proxyFinding(), javaFinding()}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			for _, f := range all {
				line(cmd.OutOrStdout(), "%-4s %-8s %s", f.Status, f.What, f.Detail)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as a list of objects")
	return c
}

func cpuFinding() finding {
	features, status := []string{}, "warn"
	for name, has := range map[string]bool{"AVX2": cpu.X86.HasAVX2 && cpu.X86.HasFMA, "AVX-512": cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW} {
		if has {
			features, status = append(features, name), "ok"
		}
	}
	if len(features) == 0 {
		features = []string{"no wide vectors, so that training runs on plain Go"}
	}
	return finding{"cpu", status, fmt.Sprintf("%d cores, %d used, %s: %s", runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.GOARCH, strings.Join(slices.Sorted(slices.Values(features)), " "))}
}

func memoryFinding() finding {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return finding{"memory", "ok", "not known on this system"}
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(s.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			status := "ok"
			if kib < 2<<20 {
				status = "warn"
			}
			return finding{"memory", status, fmt.Sprintf("%.1f GiB free; the demo needs 2", float64(kib)/(1<<20))}
		}
	}
	return finding{"memory", "ok", "not known on this system"}
}

func diskFinding(dir string) finding {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return finding{"disk", "fail", fmt.Sprintf("%s: %v", dir, err)}
	}
	free, status := float64(s.Bavail)*float64(s.Bsize)/(1<<30), "ok"
	if free < 5 {
		status = "warn"
	}
	return finding{"disk", status, fmt.Sprintf("%.1f GiB free in %s", free, dir)}
}

func writeFinding() finding {
	f, err := os.CreateTemp(".", ".silverbeam-*")
	if err != nil {
		return finding{"folder", "fail", "this folder cannot be written to, and runs go to out/ in it"}
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := f.Sync(); err != nil {
		return finding{"folder", "fail", fmt.Sprintf("fsync: %v", err)}
	}
	return finding{"folder", "ok", "can be written to and synced"}
}

// clockFinding holds the clock against the program's own commit: certificates and prices are valid from a date.
func clockFinding() finding {
	now := time.Now().UTC()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if made, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && now.Before(made) {
				return finding{"clock", "warn", fmt.Sprintf("%s, which is before this program was made, %s", now.Format(time.DateTime), made.Format(time.DateTime))}
			}
		}
	}
	return finding{"clock", "ok", now.Format(time.DateTime) + " UTC"}
}

// keyFinding names variables that look like keys of providers and are set; it never shows a value.
func keyFinding() finding {
	var present []string
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); strings.HasSuffix(name, "_API_KEY") && value != "" {
			present = append(present, name)
		}
	}
	if len(present) == 0 {
		return finding{"keys", "ok", "none set; only the labeler llm needs one"}
	}
	return finding{"keys", "ok", strings.Join(slices.Sorted(slices.Values(present)), " ")}
}

func proxyFinding() finding {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		if os.Getenv(name) != "" {
			return finding{"proxy", "ok", name + " is set"}
		}
	}
	return finding{"proxy", "ok", "none"}
}

func javaFinding() finding {
	if path, err := exec.LookPath("java"); err == nil {
		return finding{"java", "ok", path}
	}
	return finding{"java", "ok", "none; only runs on Flink need it"}
}
