package llm

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"

	"silverbeam/pkg/ledger"

	"github.com/goccy/go-yaml"
)

// ErrPolicy says that the site's policy forbids what was asked.
var ErrPolicy = errors.New("the site's policy forbids it")

// policy is what whoever keeps the machine allows. It can only tighten: what it does not name is as without it.
type policy struct {
	Egress struct {
		Allow *[]string `yaml:"allow"` // hosts, with or without port, that reports may go to beside this machine
	} `yaml:"egress"`
	Models []string `yaml:"models"` // that may be asked, wherever they are
	Redact bool     `yaml:"redact"` // reports may not be sent whole to another machine
	Spend  struct {
		RunUSD   *float64 `yaml:"run_usd"`   // one run may spend
		MonthUSD *float64 `yaml:"month_usd"` // all runs that share a results store may spend in a calendar month of UTC
	} `yaml:"spend"`
	file   string
	digest [sha256.Size]byte
}

// policyFile is where a site's policy stands; root alone can write it. SILVERBEAM_POLICY names one more: both hold, so
// that it too can only tighten.
const policyFile, policyEnv = "/etc/silverbeam/policy.yaml", "SILVERBEAM_POLICY"

// policies reads the policies that hold here: none, one or two.
func policies() (all []policy, err error) {
	for _, file := range []string{policyFile, os.Getenv(policyEnv)} {
		p, err := readPolicy(file)
		switch {
		case file == "", file == policyFile && errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("%w: %s: %w", ErrPolicy, file, err)
		default:
			all = append(all, p)
		}
	}
	return all, nil
}

// readPolicy reads one policy, strictly: what it cannot read, or what others could have written, is an error.
func readPolicy(file string) (p policy, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return p, err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.Mode().IsRegular():
		return p, errors.New("is no file")
	case owner != 0 && (file == policyFile || int(owner) != os.Getuid()):
		return p, fmt.Errorf("belongs to user %d: it must be root's", owner)
	case info.Mode().Perm()&0o022 != 0:
		return p, fmt.Errorf("has mode %#o: others may write it", info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return p, err
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&p); err != nil {
		return p, errors.New(strings.SplitN(yaml.FormatError(err, false, false), "\n", 2)[0])
	}
	for key, usd := range map[string]*float64{"run_usd": p.Spend.RunUSD, "month_usd": p.Spend.MonthUSD} {
		if usd != nil && (!(*usd >= 0) || *usd > 9e6) {
			return p, fmt.Errorf("spend.%s: %g, want 0 to 9000000", key, *usd)
		}
	}
	p.file, p.digest = file, sha256.Sum256(text)
	return p, nil
}

// PolicyDigest is that of the policies that hold here; "" without any.
func PolicyDigest() (digest string, err error) {
	all, err := policies()
	for _, p := range all {
		digest += fmt.Sprintf("%x", p.digest)
	}
	return digest, err
}

// obey refuses what a policy forbids, and lowers the cap to what each allows.
func (o *Options) obey(sites []site) error {
	all, err := policies()
	for _, s := range sites {
		if err == nil {
			err = o.obeyAt(s, all)
		}
	}
	return err
}

func (o *Options) obeyAt(s site, all []policy) error {
	for _, p := range all {
		no := func(format string, args ...any) error {
			return fmt.Errorf("%w: %s: %s", ErrPolicy, p.file, fmt.Sprintf(format, args...))
		}
		away := !s.local && s.fake == nil
		switch {
		case away && p.Egress.Allow != nil && !allows(*p.Egress.Allow, s.host):
			return no("egress.allow does not name %s", s.host)
		case p.Models != nil && s.fake == nil && !slices.Contains(p.Models, o.Model):
			return no("models does not name %.100q", o.Model)
		case away && p.Redact && !o.redacts(s):
			return no("reports may not be sent whole")
		}
		lower(&o.MaxCostPico, &o.capped, p.Spend.RunUSD, p.file)
		lower(&o.month, &o.monthly, p.Spend.MonthUSD, p.file)
	}
	return nil
}

// lower lowers a cap to what a policy allows, if it does. A cap of 0 is none: 1 pico-dollar pays for nothing.
func lower(cap *int64, by *string, usd *float64, file string) {
	if usd == nil {
		return
	}
	if pico := int64(math.Floor(*usd * 1e12)); *cap == 0 || pico < *cap {
		*cap, *by = max(pico, 1), file
	}
}

// Month is how the month stands whose cap the site's policies set for all runs of a results store; nil: they set none.
func Month(store string) (*ledger.Month, error) {
	var o Options
	all, err := policies()
	for _, p := range all {
		lower(&o.month, &o.monthly, p.Spend.MonthUSD, p.file)
	}
	if o.month == 0 || err != nil {
		return nil, err
	}
	m, err := ledger.ReadMonth(store, o.month)
	return &m, err
}

// allows compares hosts without regard to case; an entry without a port allows every port.
func allows(hosts []string, host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	return slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) || strings.EqualFold(h, name) })
}

// Permit says, before anything is opened or sent, whether the site's policy permits these calls; nil where it does.
func (o Options) Permit() error {
	all, err := parseSites(o.Endpoint)
	if err != nil {
		return err
	}
	return o.obey(all)
}

// Destination is where reports go, for a plan: the hosts, and the policy files that permit them. host is "" where nothing leaves
// this machine.
func (o Options) Destination() (host string, files []string) {
	sites, err := parseSites(o.Endpoint)
	if err != nil || sites[0].local || sites[0].fake != nil {
		return "", nil
	}
	all, _ := policies()
	for _, p := range all {
		files = append(files, p.file)
	}
	for _, s := range sites {
		host += ", " + s.host
	}
	return host[2:], files
}

// overCap names the policy where the cap that a run met is one.
func (o Options) overCap(err error) error {
	if errors.Is(err, ledger.ErrMonth) {
		return fmt.Errorf("%w (%w: spend.month_usd in %s)", err, ErrPolicy, o.monthly)
	}
	if o.capped != "" && errors.Is(err, ledger.ErrBudget) {
		return fmt.Errorf("%w (%w: spend.run_usd in %s)", err, ErrPolicy, o.capped)
	}
	return err
}
