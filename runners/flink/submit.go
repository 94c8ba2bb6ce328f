// Package flink runs a Beam graph on Apache Flink: on a cluster of its own, plain Java processes on this machine, or before a
// JobManager or job server that is there. The steps work in this process, which Flink's TaskManagers call back, or in workers
// of their own.
package flink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/graphx"
	jobpb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/jobmanagement_v1"
	pipepb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/pipeline_v1"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal/runnerlib"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/util/grpcx"
	"google.golang.org/protobuf/types/known/structpb"
)

// Options say where Flink is.
type Options struct {
	Master      string            // REST address of a JobManager, host:port; "": the user's cluster that stays, or one for this run
	JobEndpoint string            // address of a Beam job server, host:port; "": its own, before Master
	Workers     string            // the steps work there: host:port of ServeWorkers beside each TaskManager, or the path of this program there, for Flink to start; "": in this process
	Parallelism int               // of the job; 0: 2
	Jars        string            // a file that lists Flink's jars and their checksums, as jars.txt does: a cluster of those; "": the program's own list
	More        map[string]string // other pipeline options, that CheckOption lets pass
	Dir         string            // for configuration and logs
	Say         func(string)      // takes messages for people

	// Idle is how long nothing of the run has gone on. A job that stands still so long is cancelled and submitted anew: what
	// it had finished is found. nil: it may stand.
	Idle func() time.Duration
}

// A worker that is killed while a TaskManager is sending to it leaves the job running for ever (seen with Beam 2.62; its
// issue 20028), so no state of Flink's tells.
var stallAfter = 20 * time.Minute // longer than an endpoint's pause, and than a step of a training or evaluation takes

const submits = 3

// Lost is an error of a cluster or job server that does not answer or has ended: the same command may go on later.
type Lost struct{ Err error }

func (e Lost) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e Lost) Unwrap() error { return e.Err }

func lost(format string, args ...any) error { return Lost{fmt.Errorf(format, args...)} }

func isLost(err error) bool {
	_, is := errors.AsType[Lost](err)
	return is
}

// Execute runs a graph and returns when it is done. When ctx ends first, the job is cancelled.
func Execute(ctx context.Context, p *beam.Pipeline, name string, o Options) error {
	if o.Parallelism == 0 {
		o.Parallelism = 2
	}
	if err := checkShuffles(p, subtaskBytes); err != nil {
		return fmt.Errorf("flink: %w", err)
	}
	c, err := prepare(ctx, &o)
	if c != nil {
		defer c.down()
	}
	for n := 1; err == nil; n++ {
		if err = attempt(ctx, c, p, name, o); err == nil {
			return nil
		}
		if errors.Is(err, errStalled) && n < submits {
			o.Say(fmt.Sprintf("flink: %v; the job was cancelled and is submitted anew", err))
			err = nil
		}
	}
	return fmt.Errorf("flink: %w", err)
}

var errStalled = errors.New("nothing has gone on")

// attempt submits the graph once and waits for its end.
func attempt(ctx context.Context, c *cluster, p *beam.Pipeline, name string, o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c != nil {
		c.watch(ctx, cancel)
	}
	if o.Idle != nil {
		go watchdog(ctx, cancel, o.Idle)
	}
	err := submit(ctx, p, name, o)
	if cause := context.Cause(ctx); err != nil && (isLost(cause) || errors.Is(cause, errStalled)) {
		err = cause
	}
	return err
}

// watchdog cancels when nothing has gone on for long since it began.
func watchdog(ctx context.Context, cancel func(error), idle func() time.Duration) {
	began, tick := time.Now(), time.NewTicker(stallAfter/100)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if still := min(idle(), time.Since(began)); still >= stallAfter {
				cancel(Lost{fmt.Errorf("%w for %s", errStalled, still.Round(time.Second))})
				return
			}
		}
	}
}

// prepare finds or starts what is not given: a cluster, unless there is a master, and a job server. What it started is in c.
func prepare(ctx context.Context, o *Options) (c *cluster, err error) {
	if o.JobEndpoint != "" {
		return nil, nil
	}
	if o.Master == "" && o.Jars == "" {
		if stays, err := Standing(); err == nil {
			o.Master, o.JobEndpoint = stays.Master, stays.JobEndpoint
			o.Say("flink: the cluster that stays, http://" + o.Master)
			return nil, fits(ctx, *o, "")
		}
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	list, err := openJars(o.Jars)
	if err != nil {
		return nil, err
	}
	jars, err := list.fetch(ctx, o.Say)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if c, err = newCluster(java, jars, dir); err != nil {
		return nil, err
	}
	if o.Master == "" {
		start := time.Now()
		if o.Master, err = c.up(ctx, o.Parallelism); err != nil {
			return c, err
		}
		o.Say(fmt.Sprintf("flink: a JobManager and %d TaskManagers after %.0f s, http://%s", taskManagers, time.Since(start).Seconds(), o.Master))
	} else if err := fits(ctx, *o, list.flink()); err != nil {
		return c, err
	}
	o.JobEndpoint, err = c.serve(ctx, o.Master)
	return c, err
}

// fits refuses a cluster on which the job would fail or wait for ever. version is that of the Flink whose job server is to be
// started before it, 1.19.3, of which major and minor must agree; "": the cluster has its own.
func fits(ctx context.Context, o Options, version string) error {
	speaks := strings.TrimSuffix(version, filepath.Ext(version))
	var v overview
	err := insist(ctx, o.Master, "/overview", &v)
	switch {
	case err != nil:
		return lost("no JobManager answers at %s: %w", o.Master, err)
	case version != "" && !strings.HasPrefix(v.Version, speaks+"."):
		return fmt.Errorf("the JobManager at %s is Flink %s, and the job server that would be started before it speaks %s.x: give the address of a Beam job server for it (--job-endpoint), or a list of jars that are of it (--flink-jars)", o.Master, v.Version, speaks)
	case v.TaskManagers == 0:
		return lost("the JobManager at %s has no TaskManager: start some", o.Master)
	case v.Slots < o.Parallelism:
		return fmt.Errorf("the cluster at %s has %d slots, and the job would wait for %d: give --parallelism %d, or a cluster with more (silverbeam flink up --slots %d)", o.Master, v.Slots, o.Parallelism, v.Slots, o.Parallelism)
	}
	return nil
}

func submit(ctx context.Context, p *beam.Pipeline, name string, o Options) error {
	environment, end, err := o.environment(ctx)
	if err != nil {
		return err
	}
	defer end()
	none, err := os.CreateTemp("", "silverbeam-*")
	if err != nil {
		return err
	}
	defer os.Remove(none.Name())
	defer none.Close()
	graph, err := portable(ctx, p, environment, none.Name())
	if err != nil {
		return err
	}
	conn, err := grpcx.Dial(ctx, o.JobEndpoint, 20*time.Second)
	if err != nil {
		return lost("no job server answers at %s", o.JobEndpoint)
	}
	defer conn.Close()
	server := jobpb.NewJobServiceClient(conn)
	set := map[string]any{"beam:option:app_name:v1": name, "beam:option:experiments:v1": []any{"beam_fn_api"}, "beam:option:parallelism:v1": strconv.Itoa(o.Parallelism)}
	for option, value := range o.More {
		set["beam:option:"+option+":v1"] = value
	}
	options, err := structpb.NewStruct(set)
	if err != nil {
		return err
	}
	job, err := server.Prepare(ctx, &jobpb.PrepareJobRequest{Pipeline: graph, PipelineOptions: options, JobName: name})
	if err != nil {
		return fmt.Errorf("the job server at %s: %w", o.JobEndpoint, err)
	}
	token, err := runnerlib.Stage(ctx, job.GetPreparationId(), job.GetArtifactStagingEndpoint().GetUrl(), none.Name(), job.GetStagingSessionToken())
	if err != nil {
		return fmt.Errorf("the job server at %s: %w", o.JobEndpoint, err)
	}
	id, err := runnerlib.Submit(ctx, server, job.GetPreparationId(), token)
	if err != nil {
		return err
	}
	return follow(ctx, server, id)
}

// environment says where the steps work; end ends what it started for that.
func (o Options) environment(ctx context.Context) (e *pipepb.Environment, end func(), err error) {
	address, end := o.Workers, func() {}
	if strings.ContainsRune(o.Workers, filepath.Separator) {
		command, err := json.Marshal(map[string]string{"command": o.Workers})
		if err != nil {
			return nil, end, err
		}
		e, err = graphx.CreateEnvironment(ctx, graphx.URNEnvProcess, func(context.Context) string { return string(command) })
		return e, end, err
	}
	if address == "" {
		pool, err := startPool(ctx, "127.0.0.1:0", Work)
		if err != nil {
			return nil, end, err
		}
		address, end = pool.address, pool.stop
	}
	e, err = graphx.CreateEnvironment(ctx, graphx.URNEnvExternal, func(context.Context) string { return address })
	return e, end, err
}

// portable is the graph as runners take it. They want a worker's program with it: file, which is empty, stands in its place.
func portable(ctx context.Context, p *beam.Pipeline, environment *pipepb.Environment, file string) (*pipepb.Pipeline, error) {
	edges, _, err := p.Build()
	if err != nil {
		return nil, err
	}
	graph, err := graphx.Marshal(edges, &graphx.Options{Environment: environment})
	if err != nil {
		return nil, err
	}
	return graph, runnerlib.UpdateGoEnvironmentWorker(file, graph)
}

// follow waits for a job's end. A job that is cancelled has failed.
func follow(ctx context.Context, server jobpb.JobServiceClient, id string) error {
	told, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); !isLost(cause) || errors.Is(cause, errStalled) {
			ctx, cancel := context.WithTimeout(told, 10*time.Second)
			defer cancel()
			if _, err := server.Cancel(ctx, &jobpb.CancelJobRequest{JobId: id}); err == nil {
				<-ctx.Done() // it tells of its end, or does not
			}
		}
		end()
	})()
	stream, err := server.GetMessageStream(told, &jobpb.JobMessagesRequest{JobId: id})
	if err != nil {
		return lost("the job server at its start: %w", err)
	}
	failed, why := false, ""
	for {
		m, err := stream.Recv()
		if failed && (err != nil || why != "") {
			return fmt.Errorf("the job failed: %s", why)
		}
		if ctx.Err() != nil && err != nil {
			return ctx.Err()
		}
		if err != nil {
			return lost("the job server ended before the job did: %w", err)
		}
		if r := m.GetMessageResponse(); r.GetImportance() >= jobpb.JobMessage_JOB_MESSAGE_ERROR {
			why = rootCause(r.GetMessageText())
		}
		switch m.GetStateResponse().GetState() {
		case jobpb.JobState_DONE:
			return nil
		case jobpb.JobState_FAILED:
			if failed = true; why != "" {
				return fmt.Errorf("the job failed: %s", why)
			}
		case jobpb.JobState_CANCELLED:
			return errors.Join(errors.New("the job was cancelled"), ctx.Err())
		}
	}
}

var causedBy = regexp.MustCompile(`(?m)^\s*(?:Caused by: )?[\w.$]+(?:Exception|Error|Throwable): (.*)$`)

// rootCause is what the last exception of a Java stack trace says, or a step's own error, which Beam's Go SDK puts behind its
// plan in there.
func rootCause(trace string) string {
	if parts := strings.Split(trace, "\tcaused by:\n"); len(parts) > 1 {
		own := parts[len(parts)-1]
		for _, end := range []string{"\n\tat ", "\n\nFull error:", "\nCaused by: "} {
			own, _, _ = strings.Cut(own, end)
		}
		return strings.Join(strings.Fields(own), " ")
	}
	if all := causedBy.FindAllStringSubmatch(trace, -1); len(all) > 0 {
		return strings.TrimSpace(all[len(all)-1][1])
	}
	first, _, _ := strings.Cut(strings.TrimSpace(trace), "\n")
	return first
}
