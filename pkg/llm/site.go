package llm

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// site is where calls go.
type site struct {
	url     string // as it was given, without its weight
	weight  int
	base    string // what chat/completions is appended to
	version string // Azure's api-version; "": none
	host    string // for messages
	kind    string // part of the identity of answers: "" for real endpoints
	local   bool
	azure   bool
	fake    *faults
}

// Endpoints are the URLs that an endpoint names, without their weights.
func Endpoints(list string) (urls []string) {
	urls, _ = splitList(list)
	return urls
}

// Speaks says whether an endpoint names one or more http, https or fake URLs.
func Speaks(endpoint string) bool {
	urls := Endpoints(endpoint)
	return len(urls) > 0 && !slices.ContainsFunc(urls, func(text string) bool {
		u, err := url.Parse(text)
		return err != nil || !slices.Contains([]string{"http", "https", "fake"}, u.Scheme)
	})
}

// splitList splits at commas and blanks. A weight follows its URL and a star; without one it is 1.
func splitList(list string) (urls []string, weights []int) {
	for _, url := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		weight := 1
		if i := strings.LastIndexByte(url, '*'); i >= 0 {
			if n, err := strconv.ParseUint(url[i+1:], 10, 16); err == nil {
				url, weight = url[:i], int(n)
			}
		}
		urls, weights = append(urls, url), append(weights, weight)
	}
	return urls, weights
}

// parseSites reads all that an endpoint names. They are of one kind, so that one answer is as good as another, one price
// holds for all, and all get what the first may get of a report.
func parseSites(list string) (all []site, err error) {
	urls, weights := splitList(list)
	if len(urls) == 0 {
		urls, weights = []string{list}, []int{1}
	}
	for i, url := range urls {
		s, err := parseSite(url)
		if err != nil {
			return nil, err
		}
		s.url, s.weight = url, weights[i]
		for _, o := range all {
			switch {
			case o.base == s.base && o.version == s.version && (s.fake == nil || *o.fake == *s.fake):
				return nil, fmt.Errorf("llm: endpoint names %s twice: give it a weight", s.name())
			case (o.fake == nil) != (s.fake == nil) || o.local != s.local:
				return nil, fmt.Errorf("llm: endpoint names %s, %s, beside %s, %s: answers of the one are not taken for the other's", o.name(), o.where(), s.name(), s.where())
			}
		}
		all = append(all, s)
	}
	if slices.Max(weights) == 0 {
		return nil, errors.New("llm: endpoint has no weight but 0, which is for those that are asked when others cannot be")
	}
	return all, nil
}

// name is a site's for messages.
func (s site) name() string {
	if s.fake != nil {
		return s.url
	}
	return s.host
}

func (s site) where() string {
	switch {
	case s.fake != nil:
		return "a fake"
	case s.local:
		return "on this machine"
	}
	return "on another machine"
}

// parseSite reads one endpoint. A base URL without a path gets /v1. Azure's deployments have an api-version in the query.
func parseSite(endpoint string) (s site, err error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return s, errors.New("llm: endpoint is not a URL") // url.Error would print it, and what it may hold
	}
	s.host = u.Host
	switch u.Scheme {
	case "fake":
		f, err := parseFaults(u)
		if err != nil {
			return s, err
		}
		s.base, s.fake = "http://fake/v1", &f
		return s, nil
	case "http", "https":
	default:
		return s, fmt.Errorf("llm: endpoint has the scheme %.20q: http, https or fake is needed", u.Scheme)
	}
	query, err := url.ParseQuery(u.RawQuery)
	s.version = query.Get("api-version")
	if query.Del("api-version"); u.Host == "" || u.User != nil || err != nil || len(query) > 0 || u.Fragment != "" {
		return s, errors.New("llm: endpoint must be scheme://host[:port][/path], without user, fragment, or query but for ?api-version=")
	}
	u.RawQuery = ""
	s.azure = s.version != "" || azureHost.MatchString(u.Hostname())
	switch {
	case strings.Contains(u.Path, "/openai/deployments/") && s.version == "":
		return s, errors.New("llm: endpoint is a deployment of Azure's: it needs ?api-version=, such as 2024-10-21")
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/responses"):
		return s, errors.New("llm: endpoint ends in /responses: chat completions are spoken; give its base, up to /v1")
	}
	if s.local = loopback(u.Hostname()); s.local {
		s.kind = "local"
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/chat/completions")
	if u.Path == "" {
		u.Path = "/v1"
	}
	s.base = u.String()
	return s, nil
}

var azureHost = regexp.MustCompile(`\.(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)$`)

// StandIn tells endpoints apart whose answers are not to be taken for each other's: "" for real ones, "local" for this
// machine's, and a fake one's own address.
func StandIn(endpoint string) string {
	all, err := parseSites(endpoint)
	switch {
	case err != nil:
		return ""
	case all[0].fake != nil:
		return endpoint
	}
	return all[0].kind
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// transport keeps a connection for every call that may be in flight.
func transport(inFlight int) *direct {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, inFlight
	t.IdleConnTimeout = longestIdle
	t.WriteBufferSize = 32 << 10 // a request with its prompt and report goes out at once
	return &direct{next: t, idle: map[string][]*directConn{}}
}
