package flink

import (
	"context"
	"net"
	"strings"
	"sync"

	"github.com/apache/beam/sdks/v2/go/container/tools"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/harness"
	fnpb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/fnexecution_v1"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/util/grpcx"
	"google.golang.org/grpc"
)

// pool starts a worker in this process for each TaskManager that asks for one. Beam's own takes a worker's id for unique,
// but TaskManagers count by themselves: two of them ask for the same.
type pool struct {
	fnpb.UnimplementedBeamFnExternalWorkerPoolServer
	address string
	server  *grpc.Server
	ctx     context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex
	workers map[string]context.CancelFunc // by id@control endpoint
}

func startPool(ctx context.Context) (*pool, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &pool{address: l.Addr().String(), server: grpc.NewServer(), workers: map[string]context.CancelFunc{}}
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
	ctx, cancel := context.WithCancel(grpcx.WriteWorkerID(p.ctx, r.GetWorkerId()))
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.workers[key]; ok {
		cancel()
		return &fnpb.StartWorkerResponse{Error: "there is a worker " + key}, nil
	}
	p.workers[key] = cancel
	var options harness.Options
	if url := r.GetProvisionEndpoint().GetUrl(); url != "" {
		if info, err := tools.ProvisionInfo(ctx, url); err == nil {
			options.StatusEndpoint, options.RunnerCapabilities = info.GetStatusEndpoint().GetUrl(), info.GetRunnerCapabilities()
		}
	}
	go func() {
		_ = harness.MainWithOptions(ctx, r.GetLoggingEndpoint().GetUrl(), r.GetControlEndpoint().GetUrl(), options)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.workers, key)
	}()
	return &fnpb.StartWorkerResponse{}, nil
}

// StopWorker ends a worker if its id is that of one alone: no endpoint comes with it, and a worker whose TaskManager has
// gone ends by itself.
func (p *pool) StopWorker(_ context.Context, r *fnpb.StopWorkerRequest) (*fnpb.StopWorkerResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []context.CancelFunc
	for key, cancel := range p.workers {
		if id, _, _ := strings.Cut(key, "@"); id == r.GetWorkerId() {
			found = append(found, cancel)
		}
	}
	if len(found) == 1 {
		found[0]()
	}
	return &fnpb.StopWorkerResponse{}, nil
}
