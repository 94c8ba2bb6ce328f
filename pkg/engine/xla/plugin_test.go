package xla

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// environment is one of these variables alone.
func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func touch(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Plugins are found where pip puts them, the newest first, and one that is named before all.
func TestFind(t *testing.T) {
	venv, home := t.TempDir(), t.TempDir()
	vars := map[string]string{"VIRTUAL_ENV": venv, "HOME": home}
	user := touch(t, home, ".local/lib/python3.13/site-packages/jax_plugins/xla_cuda12/xla_cuda_plugin.so")
	if got, err := find(environment(vars)); got != user || err != nil {
		t.Errorf("%s: %v, want %s", got, err, user)
	}
	other := t.TempDir()
	touch(t, other, "bin/python3")
	vars["PATH"] = t.TempDir() + ":" + filepath.Join(other, "bin")
	onPath := touch(t, other, "lib/python3.12/site-packages/jax_plugins/xla_cuda12/xla_cuda_plugin.so")
	if got, err := find(environment(vars)); got != onPath || err != nil {
		t.Errorf("%s: %v, want %s", got, err, onPath)
	}
	touch(t, venv, "lib/python3.12/site-packages/jax_plugins/xla_cuda12/xla_cuda_plugin.so")
	newest := touch(t, venv, "lib/python3.12/site-packages/jax_plugins/xla_cuda13/xla_cuda_plugin.so")
	if got, err := find(environment(vars)); got != newest || err != nil {
		t.Errorf("%s: %v, want %s", got, err, newest)
	}
	vars[Library] = "/opt/plugin.so"
	if got, err := find(environment(vars)); got != "/opt/plugin.so" || err != nil {
		t.Errorf("%s: %v", got, err)
	}
}

// A plugin that is missing, or no plugin, gives one error that says what to install.
func TestNoPlugin(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ path, want string }{
		"no such file":  {filepath.Join(dir, "none.so"), "names no file"},
		"not a library": {touch(t, dir, "text.so"), "not a library that loads here"},
		"no plugin":     {"/lib/x86_64-linux-gnu/libc.so.6", "it has no GetPjrtApi"},
	} {
		if _, err := os.Stat("/lib/x86_64-linux-gnu/libc.so.6"); err != nil && name == "no plugin" {
			continue
		}
		_, err := connect(environment(map[string]string{Library: c.path}))
		if !errors.Is(err, ErrPlugin) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "pip install jax-cuda13-plugin") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A module that is wrong is an error of the plugin's, in its words, and leaves it usable.
func TestBadModule(t *testing.T) {
	c := plugin(t)
	for range 3 {
		if _, err := c.compile("module { func.func @main() -> tensor<1xf32> { return %nope : tensor<1xf32> } }", 1, false); err == nil {
			t.Fatal("compiled")
		}
	}
	m := &module{}
	m.results = []*val{m.plus(m.arg("f32", 2), 1)}
	x, err := c.compile(m.text(), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	x.destroy()
}

// What XLA logs is bounded in the environment that its library reads, but for what the user has set.
func TestLogLevel(t *testing.T) {
	libc, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW)
	if err != nil {
		t.Skip(err)
	}
	get, err := purego.Dlsym(libc, "getenv")
	if err != nil {
		t.Fatal(err)
	}
	for set, want := range map[string]string{"": "2", "0": "0"} {
		t.Setenv(logLevel, set)
		_, _ = open(filepath.Join(t.TempDir(), "none.so"))
		name := []byte(logLevel + "\x00")
		if v, _, _ := purego.SyscallN(get, uintptr(unsafe.Pointer(&name[0]))); v == 0 || text(v, 1) != want {
			t.Errorf("set to %q: not %s", set, want)
		}
	}
}
