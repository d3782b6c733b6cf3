package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manyTerms is how often each component loses its lease, and fewTerms how often
// in a short run, which finds large leaks only. It notices after ten seconds.
const (
	manyTerms = 20
	fewTerms  = 3
)

var leases = []string{"kube-scheduler", "kube-controller-manager"}

func highlyAvailable(t *testing.T, url string) *booted {
	return prepare(t, filepath.Join(t.TempDir(), "data"), "--server-mode=ha", "--etcd-servers="+url)
}

// leads waits until both components lead for the nth time.
func (b *booted) leads(n int) {
	b.t.Helper()
	acquired := regexp.MustCompile(`successfully acquired lease kube-system/kube-(scheduler|controller-manager)`)
	b.waitFor(func() bool { return len(acquired.FindAllString(b.text(), -1)) >= 2*n }, fmt.Sprintf("term %d", n))
}

// steal takes the leases away and gives them back once both are lost for the nth time.
func (b *booted) steal(n int) {
	b.t.Helper()
	for _, lease := range leases {
		b.kubectl("-n", "kube-system", "patch", "lease", lease, "--type=merge",
			`-p={"spec":{"holderIdentity":"thief","leaseDurationSeconds":3600}}`)
	}
	b.waitFor(func() bool { return strings.Count(b.text(), "failed to renew lease") >= 2*n }, "lost leases")
	b.kubectl(append([]string{"-n", "kube-system", "delete", "lease"}, leases...)...)
}

// usage is what must not grow from term to term.
type usage struct{ goroutines, files, series int }

func (b *booted) usage() usage {
	b.t.Helper()
	// Old terms end, and new ones fill their caches.
	time.Sleep(10 * time.Second)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	b.metrics("https://127.0.0.1:" + b.port("scheduler-port") + "/metrics")
	series := b.metrics("https://127.0.0.1:" + b.port("controller-manager-port") + "/metrics")
	goroutines, err := strconv.Atoi(series["go_goroutines"])
	if err != nil {
		b.t.Fatalf("go_goroutines: %v", err)
	}
	return usage{goroutines, len(files), len(series)}
}

// TestLeader holds the patches that keep the end of leadership from ending the
// process: both components lose their lease and lead again, in one process,
// nothing is left of the terms before, and an orderly stop as leader ends with 0.
func TestLeader(t *testing.T) {
	binary(t, "K8S_BINARY")
	url, _ := etcd(t)
	b := highlyAvailable(t, url)
	b.start()
	b.leads(1)
	var early usage
	terms := manyTerms
	if testing.Short() {
		terms = fewTerms
	}
	for n := 1; n <= terms; n++ {
		b.steal(n)
		b.leads(n + 1)
		if n == 2 {
			early = b.usage()
		}
	}
	late := b.usage()
	t.Logf("after 2 terms %+v, after %d terms %+v", early, terms, late)
	// One left over in each of many terms would be as many.
	if late.goroutines-early.goroutines >= manyTerms-2 {
		t.Errorf("%d goroutines after %d terms, %d after 2", late.goroutines, terms, early.goroutines)
	}
	if late.files-early.files >= manyTerms-2 {
		t.Errorf("%d open files after %d terms, %d after 2", late.files, terms, early.files)
	}
	b.watch(50)
	b.stop()
}

func TestStopOfOneThatDoesNotLead(t *testing.T) {
	binary(t, "K8S_BINARY")
	url, _ := etcd(t)
	leader, other := highlyAvailable(t, url), highlyAvailable(t, url)
	leader.start()
	leader.leads(1)
	other.start()
	other.watch(50)
	other.stop()
	if strings.Contains(other.text(), "successfully acquired lease") {
		t.Error("both lead")
	}
	leader.stop()
}

// TestStopWithoutEtcd holds that a lost etcd is no reason why an orderly stop
// fails: at once, when requests wait for it, and later, when the leases are lost.
func TestStopWithoutEtcd(t *testing.T) {
	binary(t, "K8S_BINARY")
	for name, sign := range map[string]string{
		"at once": "successfully acquired lease",
		"later":   "failed to renew lease",
	} {
		t.Run(name, func(t *testing.T) {
			url, kill := etcd(t)
			b := highlyAvailable(t, url)
			b.start()
			b.leads(1)
			// Controllers that cannot start are a failure of their own.
			b.waitFor(func() bool { return strings.Contains(b.text(), "Caches are synced for garbage collector") }, "controllers")
			b.watch(50)
			kill()
			b.waitFor(func() bool { return strings.Count(b.text(), sign) >= 2 }, sign)
			b.stop()
			if got := stopped(b.text()); got != "node-approver manifests kube-scheduler kube-controller-manager kube-apiserver certificates" {
				t.Errorf("stopped in the order %q", got)
			}
		})
	}
}

// TestFatalLogLineEndsTheProcessInOrder lets a component call klog's exit: the
// controller manager does when it begins anew and cannot read a key.
func TestFatalLogLineEndsTheProcessInOrder(t *testing.T) {
	binary(t, "K8S_BINARY")
	url, _ := etcd(t)
	b := highlyAvailable(t, url)
	b.start()
	b.leads(1)
	if err := os.WriteFile(filepath.Join(b.dir, "tls", "service-account.key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.steal(1)
	defer time.AfterFunc(time.Minute, func() { _ = b.cmd.Process.Kill() }).Stop()
	last := b.ended(b.cmd.Wait(), b.text(), "node-approver manifests kube-scheduler kube-controller-manager kube-apiserver certificates")
	if !strings.Contains(b.text(), `"Error starting controllers"`) || !strings.HasPrefix(last, "k8s: kube-controller-manager: asked for the end") {
		t.Errorf("the last line is %q", last)
	}
}
