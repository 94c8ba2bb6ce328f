package xla

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The PJRT C API, as far as it is needed here (openxla/xla, xla/pjrt/c/pjrt_c_api.h). The table of functions only ever
// grows at its end, and so do argument structs, whose first word is their size: a plugin refuses one that is smaller than
// its own and reads no further than that. Ours are zeroed and larger than any, so that newer plugins find zeros there.
const (
	errorDestroy, errorMessage, pluginInitialize           = 0, 1, 3
	eventDestroy, eventAwait                               = 5, 8
	clientCreate, clientPlatformName                       = 10, 12
	clientAddressableDevices, clientCompile                = 16, 20
	bufferFromHost, executableDestroy                      = 22, 50
	executableExecute, bufferDestroy, bufferToHost         = 55, 58, 70
	argWords                                               = 128 // 1 KiB; the largest struct known is PJRT_Client_BufferFromHostBuffer's of 128 bytes
	tableHeader                                            = 5   // words before the functions: size, extensions, and the version's three
	typeI32, typeF32                               uintptr = 4, 11
)

// client is a plugin with its devices, of which the first is used. Safe for concurrent use, as PJRT is.
type client struct {
	path     string
	api      []uintptr
	handle   uintptr
	device   uintptr
	platform string // "cpu", "cuda"
}

// args is an argument struct, and keeps what it points to in place until freed.
type args struct {
	runtime.Pinner
	words []uintptr
}

// newArgs fills the words after size and extensions.
func newArgs(words ...uintptr) *args {
	a := &args{words: make([]uintptr, argWords)}
	a.words[0] = argWords * unsafe.Sizeof(uintptr(0))
	copy(a.words[2:], words)
	return a
}

// hold gives the address of a slice's memory, which then stays in place until a is freed; 0 for an empty one.
func hold[T any](a *args, s []T) uintptr {
	if len(s) == 0 {
		return 0
	}
	a.Pin(&s[0])
	return uintptr(unsafe.Pointer(&s[0]))
}

// at is memory of the plugin's. (A direct conversion is what vet takes for a mistake.)
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// text is a string of the plugin's.
func text(p, n uintptr) string { return string(unsafe.Slice((*byte)(at(p)), n)) }

// call runs a function of the table; words beyond the given ones are the results.
func (c *client) call(f int, a *args) error {
	defer a.Unpin()
	e, _, _ := purego.SyscallN(c.api[tableHeader+f], hold(a, a.words))
	if e == 0 {
		return nil
	}
	m := newArgs(e)
	defer m.Unpin()
	purego.SyscallN(c.api[tableHeader+errorMessage], hold(m, m.words))
	err := errors.New(text(m.words[3], m.words[4]))
	d := newArgs(e)
	defer d.Unpin()
	purego.SyscallN(c.api[tableHeader+errorDestroy], hold(d, d.words))
	return err
}

// await waits for an event and drops it.
func (c *client) await(event uintptr) error {
	if event == 0 {
		return nil
	}
	err := c.call(eventAwait, newArgs(event))
	return errors.Join(err, c.call(eventDestroy, newArgs(event)))
}

// logLevel is the environment variable of what XLA logs on standard error: from 0, everything, to 3, what ends the process.
const logLevel = "TF_CPP_MIN_LOG_LEVEL"

// open loads a plugin, whose client is yet to start. Unless the user has set it, XLA logs errors alone: what its compiler finds slow is no
// concern of theirs.
func open(path string) (*client, error) {
	if os.Getenv(logLevel) == "" {
		os.Setenv(logLevel, "2")
	}
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("%s: not a library that loads here: %w", path, err)
	}
	get, err := purego.Dlsym(lib, "GetPjrtApi")
	if err != nil {
		return nil, fmt.Errorf("%s: no PJRT plugin: it has no GetPjrtApi", path)
	}
	table, _, _ := purego.SyscallN(get)
	size := *(*uintptr)(at(table)) / unsafe.Sizeof(uintptr(0))
	c := &client{path: path, api: unsafe.Slice((*uintptr)(at(table)), size)}
	if major, minor := int32(c.api[4]), int32(c.api[4]>>32); major != 0 || size <= tableHeader+bufferToHost {
		return nil, fmt.Errorf("%s: PJRT API %d.%d with %d functions: want 0.x with at least %d", path, major, minor, size-tableHeader, bufferToHost+1)
	}
	return c, nil
}

// start starts the plugin's client, which takes the device.
func (c *client) start() error {
	if err := c.call(pluginInitialize, newArgs()); err != nil {
		return err
	}
	a := newArgs()
	if err := c.call(clientCreate, a); err != nil {
		return err
	}
	c.handle = a.words[8]
	if a = newArgs(c.handle); c.call(clientPlatformName, a) == nil {
		c.platform = text(a.words[3], a.words[4])
	}
	a = newArgs(c.handle)
	if err := c.call(clientAddressableDevices, a); err != nil {
		return err
	}
	if a.words[4] == 0 {
		return errors.New("no device")
	}
	c.device = *(*uintptr)(at(a.words[3]))
	return nil
}

// compileOptions is a CompileOptionsProto: executable_build_options {device_ordinal: -1, num_replicas: 1, num_partitions: 1}.
// channelsLast adds env_option_overrides {"xla_gpu_force_conv_nhwc": true}: XLA otherwise takes NCDHW for convolutions in three
// dimensions, which cuDNN's kernels for bf16 turn about each time.
const (
	compileOptions = "\x1a\x0f\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x20\x01\x28\x01"
	channelsLast   = "\x3a\x1d\x0a\x17xla_gpu_force_conv_nhwc\x12\x02\x10\x01"
)

// executable is a compiled module; it lives until it is destroyed.
type executable struct {
	c       *client
	handle  uintptr
	results int
}

// compile takes StableHLO text whose main has so many results. half: its convolutions are of bf16.
func (c *client) compile(module string, results int, half bool) (*executable, error) {
	options := compileOptions
	if half && c.platform == "cuda" {
		options += channelsLast
	}
	a := newArgs(c.handle)
	program := newArgs(hold(a, []byte(module)), uintptr(len(module)), hold(a, []byte("mlir")), 4)
	a.words[3] = hold(a, program.words)
	a.words[4], a.words[5] = hold(a, []byte(options)), uintptr(len(options))
	if err := c.call(clientCompile, a); err != nil {
		return nil, err
	}
	return &executable{c, a.words[6], results}, nil
}

// destroy is an error only where the plugin is broken.
func (x *executable) destroy() { _ = x.c.call(executableDestroy, newArgs(x.handle)) }

// run executes on buffers of the device and gives new ones. What the module gives the same memory as a result (see
// param.alias) is consumed; its buffer still has to be destroyed. It does not wait.
func (x *executable) run(in []uintptr) (out []uintptr, err error) {
	out = make([]uintptr, x.results)
	options := newArgs()
	a := newArgs(x.handle, 0, 0, 1, uintptr(len(in)))
	a.words[3] = hold(a, options.words)
	a.words[4] = hold(a, []uintptr{hold(a, in)})
	a.words[7] = hold(a, []uintptr{hold(a, out)})
	return out, x.c.call(executableExecute, a)
}

// upload copies numbers to the device, where they are row by row, last axis fastest.
func upload[T float32 | int32](c *client, v []T, shape []int) (uintptr, error) {
	of := typeF32
	if _, ok := any(v).([]int32); ok {
		of = typeI32
	}
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	a := newArgs(c.handle, 0, of, 0, uintptr(len(dims)))
	a.words[3], a.words[5], a.words[10] = hold(a, v), hold(a, dims), c.device
	if err := c.call(bufferFromHost, a); err != nil {
		return 0, err
	}
	return a.words[14], c.await(a.words[13])
}

// download waits for a buffer and copies it out.
func (c *client) download(dst []float32, buffer uintptr) error {
	a := newArgs(buffer, 0, 0, uintptr(4*len(dst)))
	a.words[4] = hold(a, dst)
	pinned := runtime.Pinner{} // until the copy is done, which is later than the call
	pinned.Pin(&dst[0])
	defer pinned.Unpin()
	if err := c.call(bufferToHost, a); err != nil {
		return err
	}
	return c.await(a.words[6])
}

// free destroys buffers; 0 is none.
func (c *client) free(buffers ...uintptr) {
	for _, b := range buffers {
		if b != 0 {
			_ = c.call(bufferDestroy, newArgs(b))
		}
	}
}
