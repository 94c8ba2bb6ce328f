package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// One of two servers dies while a run is at it: every report is labelled, the ledger bounds both bills, and the run's last
// lines, its status and its page say what happened. With none left the exit code is that of one.
func TestOneOfTwoEndpointsDies(t *testing.T) {
	p, v, other := newProgram(t), newVendor(t), newVendor(t)
	const reports = 1000
	command := strings.Replace(v.asks(p, reports, 16), v.URL, v.URL+","+other.URL, 1)
	go func() {
		for range 100 {
			<-other.seen
		}
		other.Listener.Close()
		other.CloseClientConnections()
	}()
	_, errs := p.run(0, command)
	n, pico := v.bill()
	m, more := other.bill()
	c := p.cost("run")
	if c.Reports != reports || c.Calls < reports || c.Attempts < int64(n+m) || c.Spent > pico+more || c.Spent+c.UnsettledMax < pico+more || m > 100+16 {
		t.Errorf("%d and %d requests; spent %d, unsettled %d, bills %d and %d", n, m, c.Spent, c.UnsettledMax, pico, more)
	}
	note := strings.TrimPrefix(other.URL, "http://") + " is left out since "
	status, _ := p.run(0, "status run")
	if strings.Count(errs, note) == 0 || !strings.Contains(status, note) || len(p.found("run/page.html", note)) != 1 {
		t.Errorf("nobody is told %q:\n%s\n%s", note, errs, status)
	}
	if found, _ := p.run(0, "why run"); strings.Contains(found, "r0") {
		t.Error(found)
	}
	v.Close()
	_, errs = p.run(codeTemporary, strings.NewReplacer("--store store.db", "--store other.db", "--run run", "--run other").Replace(command)+" --deadline 1s")
	if !strings.Contains(errs, "no answer from "+strings.TrimPrefix(v.URL, "http://")) && !strings.Contains(errs, "no answer from "+strings.TrimPrefix(other.URL, "http://")) {
		t.Error(errs)
	}
}

func TestEndpointsThatAllRefuse(t *testing.T) {
	p, v := newProgram(t), newVendor(t)
	var urls []string
	for range 2 {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
		defer s.Close()
		urls = append(urls, s.URL)
	}
	_, errs := p.run(codeProvider, strings.Replace(v.asks(p, 20, 4), v.URL, strings.Join(urls, ","), 1))
	for _, u := range urls {
		if !strings.Contains(errs, strings.TrimPrefix(u, "http://")+": status 401") {
			t.Errorf("%s is not named: %s", u, errs)
		}
	}
}
