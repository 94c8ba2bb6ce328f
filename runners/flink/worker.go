package flink

import (
	"context"
	"net"
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
	workers map[string]bool // by id@control endpoint
}

func startPool(ctx context.Context) (*pool, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &pool{address: l.Addr().String(), server: grpc.NewServer(), workers: map[string]bool{}}
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
	ctx := grpcx.WriteWorkerID(p.ctx, r.GetWorkerId())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workers[key] {
		return &fnpb.StartWorkerResponse{Error: "there is a worker " + key}, nil
	}
	p.workers[key] = true
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

// StopWorker does nothing. It names a worker by an id that another TaskManager's may have too; a worker ends by itself when
// the control stream of its TaskManager does.
func (p *pool) StopWorker(context.Context, *fnpb.StopWorkerRequest) (*fnpb.StopWorkerResponse, error) {
	return &fnpb.StopWorkerResponse{}, nil
}
