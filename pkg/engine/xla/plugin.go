package xla

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Library is the environment variable that names a plugin.
const Library = "PJRT_PLUGIN_LIBRARY_PATH"

// ErrPlugin says that no plugin, or no device of one, was found: it is said what to install.
var ErrPlugin = errors.New("engine xla: no device")

// hint is what there is to do.
const hint = "install one with `pip install jax-cuda13-plugin` (or jax-cuda12-plugin) on a machine with an NVIDIA GPU and its driver, or name a PJRT plugin's library by " +
	Library + "; engine gorgonia needs none"

// find names the plugin's library: that of the environment, or the newest that pip has put in a place where it puts them.
func find(env func(string) string) (string, error) {
	if path := env(Library); path != "" {
		return path, nil
	}
	var found []string
	for _, root := range pythonFolders(env) {
		for _, name := range []string{"jax_plugins/xla_cuda*/xla_cuda_plugin.so", "jax_cuda*_pjrt/xla_cuda_plugin.so"} {
			more, _ := filepath.Glob(filepath.Join(root, name)) // the pattern is well-formed
			found = append(found, more...)
		}
		if found != nil {
			return slices.Max(found), nil
		}
	}
	return "", fmt.Errorf("%w: no PJRT plugin found: %s", ErrPlugin, hint)
}

// pythonFolders are where pip installs: the active environment's, that of the first python3 on the path, the user's, the system's.
func pythonFolders(env func(string) string) (all []string) {
	var roots []string
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if root := env(name); root != "" {
			roots = append(roots, root)
		}
	}
	for _, dir := range filepath.SplitList(env("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "python3")); err == nil {
			roots = append(roots, filepath.Dir(dir))
			break
		}
	}
	if home := env("HOME"); home != "" {
		roots = append(roots, filepath.Join(home, ".local"))
	}
	for _, root := range append(roots, "/usr/local", "/usr") {
		for _, packages := range []string{"site-packages", "dist-packages"} {
			more, _ := filepath.Glob(filepath.Join(root, "lib/python3*", packages))
			all = append(all, more...)
		}
	}
	return all
}

// connected is the process's client: a GPU's memory is taken whole by the first.
var connected struct {
	sync.Mutex
	c *client
}

// device connects, if no one has yet.
func device() (c *client, err error) {
	connected.Lock()
	defer connected.Unlock()
	if connected.c == nil {
		oneGPU()
		connected.c, err = connect(os.Getenv)
	}
	return connected.c, err
}

// plugged is find's library, which is there.
func plugged(env func(string) string) (string, error) {
	path, err := find(env)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %s: %s names no file: %s", ErrPlugin, path, Library, hint)
	}
	return path, nil
}

// oneGPU leaves this process the GPU that its lease is of: a plugin takes memory of all that it sees.
func oneGPU() {
	if all, set := os.LookupEnv(visibleGPUs); !set {
		os.Setenv(visibleGPUs, "0")
	} else if first, _, more := strings.Cut(all, ","); more {
		os.Setenv(visibleGPUs, first)
	}
}

// connect finds and starts a plugin.
func connect(env func(string) string) (*client, error) {
	path, err := plugged(env)
	if err != nil {
		return nil, err
	}
	c, err := open(path)
	if err != nil {
		ours.give(false)
		return nil, fmt.Errorf("%w: %w: %s", ErrPlugin, err, hint)
	}
	if !shared(path) {
		if err := ours.connects(leaseFile(env)); err != nil {
			return nil, err
		}
	}
	if err := c.start(); err != nil {
		ours.give(false)
		return nil, fmt.Errorf("%w: %s: %w: %s", ErrPlugin, path, err, hint)
	}
	return c, nil
}
