package llm

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// site is where calls go.
type site struct {
	base    string // what chat/completions is appended to
	version string // Azure's api-version; "": none
	host    string // for messages
	kind    string // part of the identity of answers: "" for real endpoints
	local   bool
	azure   bool
	fake    *faults
}

// parseSite reads an endpoint. A base URL without a path gets /v1. Azure's deployments have an api-version in the query.
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
	s, err := parseSite(endpoint)
	if err == nil && s.fake != nil {
		return endpoint
	}
	return s.kind
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// transport keeps a connection for every call that may be in flight.
func transport(inFlight int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, inFlight
	t.IdleConnTimeout = time.Minute
	return t
}
