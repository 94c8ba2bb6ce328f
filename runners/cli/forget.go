package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/ledger"
	"silverbeam/runners/local"
	"silverbeam/transforms/publish"

	"github.com/spf13/cobra"
)

func forgetCommand() *cobra.Command {
	var runs []string
	var store string
	var yes bool
	c := &cobra.Command{
		Use: "forget STUDY", Short: "remove what runs and the results store keep of one study", Args: exactly("STUDY"),
		Long: "Forget removes the answers to a study's report, and its vectors, from the results store, its name from ledgers, and the files of each batch that it\n" +
			"stands in. Take it out of the input, and the command that made a run makes the rest anew, without a call. Ledgers tell which answers\n" +
			"are the study's: name every run that asked about it.",
		Example: "  silverbeam forget train_7_a\n  silverbeam forget 4711 --run out/label-2f9c01 --run /data/runs/march --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(runs) == 0 {
				runs, _ = filepath.Glob(filepath.Join("out", "*"))
				runs = slices.DeleteFunc(runs, func(r string) bool { _, err := folder(r, "ledger.db", "ledger.db.url"); return err != nil })
			}
			if len(runs) == 0 {
				return usage(cmd, "there is no run under out/: name those that know the study with --run")
			}
			f := forgetting{study: args[0]}
			defer f.close()
			for _, r := range runs {
				if err := f.open(r); err != nil {
					return err
				}
			}
			if err := f.find(store); err != nil {
				return err
			}
			if err := confirm(cmd, yes, f.String()); err != nil {
				return err
			}
			return f.forget(cmd)
		},
	}
	c.Flags().StringArrayVar(&runs, "run", nil, "look in the run folder `DIR`; may be given again (default every run under out/)")
	c.Flags().StringVar(&store, "store", "", "the results store of those runs, as --store of `URL` (default silverbeam/results.db in $XDG_STATE_HOME or ~/.local/state)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// forgetting is a study that is being forgotten.
type forgetting struct {
	study   string
	runs    []*traces
	reports []ledger.Identity // its texts
	asked   bool              // labels were asked of a model, and not only vectors
	kept    []ledger.Identity // of answers
	answers int               // that the store keeps
	vectors int               // of its texts, that the store keeps
	store   *ledger.Store     // nil: there is none to look into
}

// traces are what one run has of it.
type traces struct {
	dir   string
	files []string
	book  *ledger.Book // nil: it has none
	letGo func()
}

// open holds a run, and looks what it has.
func (f *forgetting) open(run string) error {
	dir, err := folder(run, "ledger.db", "ledger.db.url")
	if err != nil {
		return err
	}
	t := &traces{dir: dir}
	if t.letGo, err = local.Hold(dir); err != nil {
		return err
	}
	f.runs = append(f.runs, t)
	if t.files, err = publish.Holding(dir, f.study); err != nil {
		return err
	}
	for _, name := range []string{"ledger.db", "ledger.db.url"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil && t.book == nil {
			if t.book, err = ledger.OpenBook(filepath.Join(dir, "ledger.db")); err != nil {
				return err
			}
		}
	}
	if t.book != nil {
		asked, aerr := t.book.About(f.study)
		embedded, eerr := t.book.EmbeddedOf(f.study)
		f.asked = f.asked || len(asked) > 0
		for _, r := range slices.Concat(asked, embedded) {
			if !slices.Contains(f.reports, r) {
				f.reports = append(f.reports, r)
			}
		}
		err = errors.Join(aerr, eerr)
	}
	return err
}

func (f *forgetting) close() {
	for _, t := range f.runs {
		if t.book != nil {
			_ = t.book.Close()
		}
		t.letGo()
	}
	if f.store != nil {
		_ = f.store.Close()
	}
}

// find looks for the answers about the study. A store that knows none of the runs' answers is not theirs.
func (f *forgetting) find(location string) error {
	var others, embedded []ledger.Identity
	kept, files := map[ledger.Identity]bool{}, 0
	for _, t := range f.runs {
		files += len(t.files)
		if t.book == nil {
			continue
		}
		own, err := t.book.Answers(f.study, f.reports)
		if err != nil {
			return err
		}
		some, err := t.book.Answered()
		if err != nil {
			return err
		}
		for _, id := range own {
			kept[id] = true
		}
		others = append(others, some...)
		if some, err = t.book.EmbeddedOfAny(); err != nil {
			return err
		}
		embedded = append(embedded, some...)
	}
	f.kept = slices.Collect(maps.Keys(kept))
	if len(f.kept)+len(f.reports)+files == 0 {
		return badInput("no run of %s knows a study %q: name the runs that do with --run", count(len(f.runs), "folder"), f.study)
	}
	if len(f.reports) == 0 {
		return nil // no model was asked about it
	}
	r, err := ledger.ReadStore(location)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.answers, err = r.Has(f.kept)
	if err == nil {
		f.vectors, err = r.HasVectors(f.reports)
	}
	known, kerr := f.answers+f.vectors, error(nil)
	if known == 0 {
		known, kerr = r.Has(others)
	}
	vectors, verr := f.vectors, error(nil)
	if vectors == 0 {
		vectors, verr = r.HasVectors(embedded)
	}
	if err := errors.Join(err, kerr, verr, r.Close()); err != nil {
		return err
	}
	if known == 0 && len(others) > 0 {
		return badInput("the results store has none of the runs' answers: name theirs with --store")
	}
	if vectors == 0 && len(embedded) > 0 {
		return badInput("the results store has none of the vectors that the runs had made: name theirs with --store")
	}
	if f.asked && f.answers == 0 && len(f.kept) == 0 {
		return badInput("the answers about %q were paid for by another run: name that with --run, too", f.study)
	}
	f.store, err = ledger.OpenStore(location)
	return err
}

// String says what will be removed.
func (f *forgetting) String() string {
	files := 0
	for _, t := range f.runs {
		files += len(t.files)
	}
	kept := count(f.answers, "answer")
	if f.vectors > 0 {
		kept += " and " + count(f.vectors, "vector")
	}
	return fmt.Sprintf("%s in the results store, %s and its name in %s", kept, count(files, "file"), count(len(f.runs), "run folder"))
}

// forget removes it: the ledgers last, since they alone tell which answers are its own.
func (f *forgetting) forget(cmd *cobra.Command) error {
	if f.store != nil && len(f.kept)+f.vectors > 0 {
		if err := f.store.Forget(f.kept, f.reports); err != nil {
			return err
		}
	}
	var requests []string
	rows := 0
	for _, t := range f.runs {
		if err := local.Forget(t.dir, f.study, t.files); err != nil {
			return err
		}
		if t.book == nil {
			continue
		}
		ids, n, err := t.book.Forget(f.study, f.reports)
		if err != nil {
			return err
		}
		requests, rows = append(requests, ids...), rows+n
	}
	line(cmd.OutOrStdout(), "forgotten  %s; %s of ledgers have no name any more", f, count(rows, "row"))
	if len(requests) > 0 {
		line(cmd.OutOrStdout(), "requests   %s: under these ids the provider may still keep what was sent", strings.Join(requests, " "))
	}
	for _, t := range f.runs {
		if len(t.files) > 0 {
			line(cmd.ErrOrStderr(), "next: take it out of the input of %s, then the command that made it makes the rest anew", t.dir)
		}
	}
	return nil
}

// confirm asks whether what cannot be undone shall be done.
func confirm(cmd *cobra.Command, yes bool, what string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "remove %s? (yes or no) ", what)
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if strings.TrimSpace(answer) == "yes" {
		return nil
	}
	return &Exit{codeUsage, fmt.Errorf("%s: nothing is removed", cmd.Name()), "answer yes, or give --yes"}
}
