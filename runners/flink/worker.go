package flink

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"github.com/apache/beam/sdks/v2/go/container/tools"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/harness"
	fnpb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/fnexecution_v1"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/util/grpcx"
	"google.golang.org/grpc"
)

// pool gives each TaskManager that asks a worker. Beam's own takes a worker's id for unique, but TaskManagers count by
// themselves: two of them ask for the same.
type pool struct {
	fnpb.UnimplementedBeamFnExternalWorkerPoolServer
	address string
	server  *grpc.Server
	ctx     context.Context
	cancel  context.CancelFunc
	work    func(ctx context.Context, id, provision string) error // until its TaskManager is done with it

	mu      sync.Mutex
	workers map[string]bool // by id@control endpoint
	running sync.WaitGroup
}

func startPool(ctx context.Context, listen string, work func(ctx context.Context, id, provision string) error) (*pool, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	p := &pool{address: l.Addr().String(), server: grpc.NewServer(), work: work, workers: map[string]bool{}}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx)) // a job that is cancelled still ends its bundles
	fnpb.RegisterBeamFnExternalWorkerPoolServer(p.server, p)
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

func (p *pool) stop() {
	p.cancel()
	p.server.Stop()
}

// StartWorker serves the Fn API's pool protocol (beam_fn_api.proto, BeamFnExternalWorkerPool).
func (p *pool) StartWorker(_ context.Context, r *fnpb.StartWorkerRequest) (*fnpb.StartWorkerResponse, error) {
	key := r.GetWorkerId() + "@" + r.GetControlEndpoint().GetUrl()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workers[key] {
		return &fnpb.StartWorkerResponse{Error: "there is a worker " + key}, nil
	}
	p.workers[key] = true
	p.running.Go(func() {
		_ = p.work(p.ctx, r.GetWorkerId(), r.GetProvisionEndpoint().GetUrl())
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.workers, key)
	})
	return &fnpb.StartWorkerResponse{}, nil
}

// StopWorker does nothing. It names a worker by an id that another TaskManager's may have too; a worker ends by itself when
// the control stream of its TaskManager does.
func (p *pool) StopWorker(context.Context, *fnpb.StopWorkerRequest) (*fnpb.StopWorkerResponse, error) {
	return &fnpb.StopWorkerResponse{}, nil
}

// ServeWorkers answers the TaskManagers that ask at an address, host:port, until ctx ends: each gets a process of this
// program for each of its jobs, which ends with the job, with its TaskManager, or with this process.
func ServeWorkers(ctx context.Context, listen string, ready func(address string)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := startPool(ctx, listen, func(ctx context.Context, id, provision string) error {
		runtime.LockOSThread() // a child's death signal is tied to the thread that started it
		defer runtime.UnlockOSThread()
		c := exec.CommandContext(ctx, self, "flink", "worker", "--id="+id, "--provision_endpoint="+provision)
		c.Stderr = os.Stderr
		endsWithParent(c)
		return c.Run()
	})
	if err != nil {
		return err
	}
	ready(p.address)
	<-ctx.Done()
	p.stop()
	p.running.Wait()
	return nil
}

// Work is one worker: it does what the TaskManager with that provision endpoint asks it to, and returns when that ends.
func Work(ctx context.Context, id, provision string) error {
	ctx = grpcx.WriteWorkerID(ctx, id)
	info, err := tools.ProvisionInfo(ctx, provision)
	if err != nil {
		return fmt.Errorf("the TaskManager at %s does not say what to do: %w", provision, err)
	}
	return harness.MainWithOptions(ctx, info.GetLoggingEndpoint().GetUrl(), info.GetControlEndpoint().GetUrl(),
		harness.Options{StatusEndpoint: info.GetStatusEndpoint().GetUrl(), RunnerCapabilities: info.GetRunnerCapabilities()})
}
