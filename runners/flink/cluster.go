package flink

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Both are of the sources in java, by java/build.sh.
var (
	//go:embed java/launcher.jar
	launcherJar []byte
	//go:embed java/loopback.jar
	loopbackJar []byte
)

const (
	taskManagers = 2
	readyWithin  = 2 * time.Minute // for one process to answer; some seconds on an idle machine
	stopsWithin  = 10 * time.Second
	again        = 10 // times that a TaskManager is started, as often as a job survives its end
)

// opens lets Flink reach into Java's own classes, as its start scripts do (flink-conf: env.java.opts.all).
var opens = []string{"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED",
	"--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/java.time=ALL-UNNAMED", "--add-opens=java.base/java.net=ALL-UNNAMED"}

// cluster is the Java processes that this one has started. They end when it does, however that comes.
type cluster struct {
	java, jars, dir string // dir holds their configuration and logs
	start           chan startRequest

	mu        sync.Mutex
	stopping  bool
	processes []*process
}

type process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

type startRequest struct {
	cmd *exec.Cmd
	err chan error
}

// newCluster makes a cluster without processes.
func newCluster(java, jars, dir string) (*cluster, error) {
	c := &cluster{java: java, jars: jars, dir: dir, start: make(chan startRequest)}
	err := os.MkdirAll(c.at("tmp"), 0o755)
	for name, jar := range map[string][]byte{"launcher.jar": launcherJar, "loopback.jar": loopbackJar} {
		if err == nil {
			err = os.WriteFile(c.at(name), jar, 0o644)
		}
	}
	if err != nil {
		return nil, err
	}
	go func() { // a child's death signal is tied to the thread that started it (prctl(2), PR_SET_PDEATHSIG)
		runtime.LockOSThread()
		for r := range c.start {
			r.err <- r.cmd.Start()
		}
	}()
	return c, nil
}

func (c *cluster) at(name string) string { return filepath.Join(c.dir, name) }

// run starts a Java process whose output goes to dir/NAME.log. Its quick compiler alone: these processes hand descriptors on for
// minutes, and the thorough one took more seconds of the cores that label than it gave back (docs/benchmarks.md).
func (c *cluster) run(name string, args ...string) (*process, error) {
	args = append(append([]string{"-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.log.org.apache.pekko=warn",
		"-Djava.io.tmpdir=" + c.at("tmp")}, opens...), args...)
	p := &process{name: name, cmd: exec.Command(c.java, args...), gone: make(chan struct{})}
	log, err := os.OpenFile(c.at(name+".log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	endsWithParent(p.cmd)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, errors.New("the cluster is being stopped")
	}
	r := startRequest{p.cmd, make(chan error, 1)}
	c.start <- r
	if err := <-r.err; err != nil {
		return nil, err
	}
	c.processes = append(c.processes, p)
	go func() {
		_ = p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// keep starts a TaskManager and, where it ends by itself, another one in its place.
func (c *cluster) keep(name string, args ...string) (*process, error) {
	first, err := c.run(name, args...)
	if err != nil {
		return nil, err
	}
	go func() {
		for p, n := first, 1; n < again && err == nil; n++ {
			<-p.gone
			time.Sleep(time.Second)
			p, err = c.run(name, args...)
		}
	}()
	return first, nil
}

// watch cancels when a process ends that cannot be replaced while a job runs.
func (c *cluster) watch(ctx context.Context, cancel func(error)) {
	for _, p := range c.started() {
		if p.name == "jobmanager" || p.name == "jobserver" {
			go func() {
				select {
				case <-ctx.Done():
				case <-p.gone:
					cancel(lost("the %s ended: see %s", p.name, c.at(p.name+".log")))
				}
			}()
		}
	}
}

func (c *cluster) started() []*process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.processes)
}

// await asks until ready says so, the process has ended, or time is up.
func (c *cluster) await(ctx context.Context, p *process, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for !ready() {
		select {
		case <-p.gone:
			log, _ := os.ReadFile(c.at(p.name + ".log"))
			return fmt.Errorf("the %s ended at once: %s; see %s", p.name, rootCause(string(log)), c.at(p.name+".log"))
		case <-ctx.Done():
			return fmt.Errorf("the %s does not answer: %w; see %s", p.name, ctx.Err(), c.at(p.name+".log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// up starts a JobManager and TaskManagers with so many slots in all, and gives the JobManager's REST address.
func (c *cluster) up(ctx context.Context, slots int) (master string, err error) {
	ports, err := freePorts(3)
	if err != nil {
		return "", err
	}
	conf := c.at("conf")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(conf, "config.yaml"), []byte(config(ports, (slots+taskManagers-1)/taskManagers)), 0o644); err != nil {
		return "", err
	}
	master = fmt.Sprintf("127.0.0.1:%d", ports[0])
	all := c.at("loopback.jar") + string(os.PathListSeparator) + filepath.Join(c.jars, "*")
	jm, err := c.run("jobmanager", "-Xmx640m", "-cp", all, "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", "--configDir", conf, "--executionMode", "cluster")
	if err != nil {
		return "", err
	}
	if err := c.await(ctx, jm, func() bool { _, err := look(ctx, master); return err == nil }); err != nil {
		return "", err
	}
	var last *process
	for i := range taskManagers { // one that starts before its JobManager waits ten seconds to try again
		last, err = c.keep(fmt.Sprintf("taskmanager-%d", i+1), "-Xms480m", "-Xmx480m", "-XX:MaxDirectMemorySize=448m", "-XX:MaxMetaspaceSize=256m", "-cp", all,
			"org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "--configDir", conf, fmt.Sprintf("-Dtaskmanager.resource-id=tm%d", i+1), "-Dio.tmp.dirs="+c.at("tmp"))
		if err != nil {
			return "", err
		}
	}
	return master, c.await(ctx, last, func() bool { o, _ := look(ctx, master); return o.TaskManagers == taskManagers })
}

// serve starts a job server before a JobManager and gives its address.
func (c *cluster) serve(ctx context.Context, master string) (endpoint string, err error) {
	ports, err := freePorts(1)
	if err != nil {
		return "", err
	}
	endpoint = fmt.Sprintf("127.0.0.1:%d", ports[0])
	p, err := c.run("jobserver", "-Xmx512m", "-cp", c.at("launcher.jar"), "-Djava.system.class.loader=Launcher", "-Dlauncher.first="+c.at("loopback.jar"), "-Dlauncher.jars="+c.jars, "Launcher",
		"--flink-master="+master, "--flink-conf-dir="+c.at("conf"), "--job-host=127.0.0.1", "--job-port="+strconv.Itoa(ports[0]),
		"--artifact-port=0", "--expansion-port=0", "--artifacts-dir="+c.at("tmp"))
	if err != nil {
		return "", err
	}
	return endpoint, c.await(ctx, p, func() bool { return answers(endpoint) })
}

// down ends what was started, the last first.
func (c *cluster) down() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	for i := len(c.processes) - 1; i >= 0; i-- {
		p := c.processes[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range c.processes {
		select {
		case <-p.gone:
		case <-time.After(stopsWithin):
			_ = p.cmd.Process.Kill()
			<-p.gone
		}
	}
	close(c.start)
	_ = os.RemoveAll(c.at("tmp"))
}

// config is Flink's configuration: every socket on loopback, and the memory that its start scripts would work out. Network
// buffers hold a shuffle of descriptors, which with the heap keeps a TaskManager below 1 GiB; a job outlives ten lost workers.
func config(ports []int, slots int) string {
	return fmt.Sprintf(`rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: %d
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.rpc.port: %d
jobmanager.memory.process.size: 1024m
blob.server.port: %d
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: %d
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 96m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 384m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.managed.size: 128m
taskmanager.memory.network.min: 256m
taskmanager.memory.network.max: 256m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 128m
taskmanager.memory.jvm-overhead.max: 128m
taskmanager.network.sort-shuffle.min-buffers: 64
heartbeat.interval: 2000
heartbeat.timeout: 10000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 10
restart-strategy.fixed-delay.delay: 2s
classloader.resolve-order: parent-first
`, ports[0], ports[1], ports[2], slots)
}

// overview is what a JobManager says of its cluster (Flink's REST API, GET /overview).
type overview struct {
	Version      string `json:"flink-version"`
	TaskManagers int    `json:"taskmanagers"`
	Slots        int    `json:"slots-total"`
	Free         int    `json:"slots-available"`
}

func look(ctx context.Context, master string) (o overview, err error) {
	return o, rest(ctx, master, "/overview", &o)
}

// rest reads what a JobManager has at a path.
func rest(ctx context.Context, master, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+master+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 500 {
		return fmt.Errorf("%s: %w", answer.Status, errBusy)
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// patience is how long whoever asks a JobManager once waits for its answer: one that has just started, or is busy, may take its time.
const patience = 10 * time.Second

var errBusy = errors.New("it is busy")

// insist is rest, again and again while a JobManager that is there does not get to it.
func insist(ctx context.Context, master, path string, into any) (err error) {
	for end := time.Now().Add(patience); ; {
		err = rest(ctx, master, path, into)
		if !errors.Is(err, errBusy) && !errors.Is(err, context.DeadlineExceeded) || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func answers(endpoint string) bool {
	c, err := net.DialTimeout("tcp", endpoint, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// freePorts finds ports of the loopback that nobody listens on now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// findJava gives the Java to run Flink with: that of JAVA_HOME, else the first on the PATH.
func findJava(ctx context.Context) (string, error) {
	const next = "Flink needs Java 17 (on Debian: apt-get install openjdk-17-jre-headless); --runner local needs none"
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(java)
	if err != nil {
		return "", fmt.Errorf("no Java: %w: %s", err, next)
	}
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s -version: %w: %s", path, err, next)
	}
	if v := javaVersion(string(out)); v != 0 && v < 11 {
		return "", fmt.Errorf("%s is Java %d: %s", path, v, next)
	}
	return path, nil
}

// javaVersion is the first number of what java -version prints, 1.8 being 8; 0: unknown.
func javaVersion(out string) int {
	_, v, _ := strings.Cut(out, `version "`)
	v = strings.TrimPrefix(v, "1.")
	n, _ := strconv.Atoi(v[:len(v)-len(strings.TrimLeft(v, "0123456789"))])
	return n
}
