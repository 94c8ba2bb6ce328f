package llm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const proxied = "SILVERBEAM_TEST_PROXIED"

// A site's proxy and its own certificate authority are taken from the environment: HTTPS_PROXY, and SSL_CERT_FILE or
// SSL_CERT_DIR. Both are read once in a process, so a child makes the call. An address in NO_PROXY is reached directly.
func TestThroughAProxyToAPrivateAuthority(t *testing.T) {
	if endpoint := os.Getenv(proxied); endpoint != "" {
		b := set(t, t.TempDir(), Options{Endpoint: endpoint, Model: "gpt-4.1-mini", Deadline: time.Second}, nil)
		if _, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil}); err != nil {
			t.Fatal(err)
		}
		return
	}
	const host = "llm.hospital.invalid"
	cert, authority := certificate(t, host)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, good(newPrompt(ctRate(t), nil, "").keys))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	defer server.Close()
	var tunnels, others atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != host+":443" {
			others.Add(1)
			http.Error(w, "", http.StatusForbidden)
			return
		}
		tunnels.Add(1)
		far, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		near, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(far, near); far.Close() }()
		go func() { io.Copy(near, far); near.Close() }()
	}))
	defer proxy.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "authority.pem")
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env     []string
		says    string // of a failure
		tunnels int64
	}{
		"proxy and authority":              {[]string{"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + file}, "", 1},
		"an authority in a folder":         {[]string{"https_proxy=" + proxy.URL, "SSL_CERT_DIR=" + dir}, "", 1},
		"nobody vouches for the server":    {[]string{"HTTPS_PROXY=" + proxy.URL}, "its certificate does not hold", 1},
		"no proxy, and no way to reach it": {[]string{"HTTPS_PROXY=" + proxy.URL, "NO_PROXY=.hospital.invalid", "SSL_CERT_FILE=" + file}, "FAIL", 0},
	} {
		t.Run(name, func(t *testing.T) {
			tunnels.Store(0)
			child := exec.Command(os.Args[0], "-test.run=^TestThroughAProxyToAPrivateAuthority$", "-test.count=1")
			child.Env = append([]string{proxied + "=https://" + host + "/v1", "TMPDIR=" + t.TempDir(), "HOME=" + dir, "PATH=" + os.Getenv("PATH")}, c.env...)
			out, err := child.CombinedOutput()
			if (err == nil) != (c.says == "") || !strings.Contains(string(out), c.says) || tunnels.Load() != c.tunnels || others.Load() > 0 {
				t.Errorf("%v, %d tunnels, %d other requests\n%s", err, tunnels.Load(), others.Load(), out)
			}
		})
	}
}

// certificate is a server's, and the authority that signed it, as PEM.
func certificate(t *testing.T, host string) (tls.Certificate, []byte) {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ends := time.Now().Add(time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hospital"}, NotAfter: ends, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootKey, leafKey := newKey(), newKey()
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host}, NotAfter: ends, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
}
