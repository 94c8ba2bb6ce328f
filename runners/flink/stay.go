package flink

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"silverbeam/pkg/ledger"
)

// Cluster is one that stays until it is told to end: a JobManager, TaskManagers and a job server, children of one process
// that answers on a Unix socket. There is at most one for a user.
type Cluster struct {
	Master      string    `json:"master"`       // REST address of the JobManager
	JobEndpoint string    `json:"job_endpoint"` // of the job server
	Slots       int       `json:"slots"`        // subtasks that can work at once
	PID         int       `json:"pid"`
	Started     time.Time `json:"started"`
	Dir         string    `json:"dir"` // configuration and logs

	Version      string `json:"version,omitempty"` // of Flink, and the rest: as the JobManager says, filled in by Ask
	TaskManagers int    `json:"task_managers"`
	Free         int    `json:"free_slots"`
	Jobs         []Job  `json:"jobs"` // those that have not ended
}

// Job is one of a cluster.
type Job struct {
	Name    string  `json:"name"`
	State   string  `json:"state"` // as Flink names it
	Seconds float64 `json:"seconds"`
}

// stayDir is the folder of a user's standing cluster.
func stayDir() (string, error) {
	state, err := ledger.StateDir()
	return filepath.Join(state, "flink"), err
}

const (
	socketName = "cluster.sock"
	endWord    = "end\n"
)

// Stay starts a cluster with at least so many slots, of the jars of a list as Options.Jars has it, tells ready, and keeps it until ctx ends or End is called: nil then. When its
// JobManager or job server ends, so does it, with an error. fs.ErrExist: there is one.
func Stay(ctx context.Context, slots int, list string, say func(string), ready func(Cluster)) error {
	dir, err := stayDir()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	me := Cluster{Slots: (slots + taskManagers - 1) / taskManagers * taskManagers, PID: os.Getpid(), Started: time.Now().UTC().Truncate(time.Second), Dir: dir}
	var stands atomic.Pointer[Cluster] // nil: not yet
	socket, err := answer(filepath.Join(dir, socketName), &stands, func() { cancel(errEnd) })
	if err != nil {
		return err
	}
	defer socket.Close()
	java, err := findJava(ctx)
	if err != nil {
		return err
	}
	l, err := openJars(list)
	if err != nil {
		return err
	}
	jars, err := l.fetch(ctx, say)
	if err != nil {
		return err
	}
	c, err := newCluster(java, jars, dir)
	if err != nil {
		return err
	}
	defer c.down()
	if me.Master, err = c.up(ctx, slots); err == nil {
		me.JobEndpoint, err = c.serve(ctx, me.Master)
	}
	if err == nil {
		stands.Store(&me)
		ready(me)
		c.watch(ctx, cancel)
		<-ctx.Done()
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}

var errEnd = errors.New("told to end")

// answer serves the socket: each who asks is told of the cluster, and may have it end; the connection ends when the process
// does.
func answer(path string, stands *atomic.Pointer[Cluster], end func()) (net.Listener, error) {
	if _, err := ask(path, ""); err == nil || errors.Is(err, errNotYet) {
		return nil, fmt.Errorf("a cluster stands already: %w", fs.ErrExist)
	}
	_ = os.Remove(path) // of one that was killed
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = json.NewEncoder(conn).Encode(stands.Load())
				if word, _ := bufio.NewReader(conn).ReadString('\n'); word == endWord {
					end()
					return // what is open closes with the process
				}
				conn.Close()
			}()
		}
	}()
	return l, nil
}

var errNotYet = errors.New("the cluster is being started")

// ask gets the answer of a standing cluster; with a word, it sends that and waits until the process has ended.
func ask(path, word string) (c Cluster, err error) {
	conn, err := net.DialTimeout("unix", path, 2*time.Second)
	if err != nil {
		return c, fmt.Errorf("no cluster stands: %w", fs.ErrNotExist)
	}
	defer conn.Close()
	var found *Cluster
	from := bufio.NewReader(conn)
	text, err := from.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		return c, fmt.Errorf("the cluster does not answer: %w", err)
	}
	if word != "" {
		if _, err = io.WriteString(conn, word); err == nil {
			_, _ = io.Copy(io.Discard, from)
		}
	}
	if found == nil {
		return c, errors.Join(err, errNotYet)
	}
	return *found, err
}

// Standing finds the user's cluster that stays. fs.ErrNotExist: there is none.
func Standing() (Cluster, error) { return standing("") }

// End has the user's cluster end, and returns when its processes are gone. fs.ErrNotExist: there is none.
func End() (Cluster, error) {
	c, err := standing(endWord)
	if errors.Is(err, errNotYet) { // it ends while it starts
		err = nil
	}
	return c, err
}

func standing(word string) (c Cluster, err error) {
	dir, err := stayDir()
	if err != nil {
		return c, err
	}
	return ask(filepath.Join(dir, socketName), word)
}

// Ask fills in what the JobManager says.
func (c *Cluster) Ask(ctx context.Context) error {
	var o overview
	if err := insist(ctx, c.Master, "/overview", &o); err != nil {
		return lost("the JobManager at %s does not answer: %w", c.Master, err)
	}
	var all struct {
		Jobs []struct {
			Name, State string
			Duration    float64 // ms
		}
	}
	if err := insist(ctx, c.Master, "/jobs/overview", &all); err != nil {
		return lost("the JobManager at %s does not answer: %w", c.Master, err)
	}
	c.Version, c.TaskManagers, c.Free, c.Jobs = o.Version, o.TaskManagers, o.Free, []Job{}
	for _, j := range all.Jobs {
		if j.State != "FINISHED" && j.State != "CANCELED" && j.State != "FAILED" {
			c.Jobs = append(c.Jobs, Job{j.Name, j.State, j.Duration / 1000})
		}
	}
	return nil
}
