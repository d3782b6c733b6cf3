package logs

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
)

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func TestEveryLineNamesItsComponent(t *testing.T) {
	var out buffer
	if err := Setup(&out, 2); err != nil {
		t.Fatal(err)
	}
	klog.Info("of the process")
	var wg sync.WaitGroup
	for _, name := range []string{"kube-a", "kine"} {
		wg.Add(1)
		Do(t.Context(), name, func(context.Context) {
			// A goroutine of the component belongs to it as well.
			go func() {
				defer wg.Done()
				klog.V(2).InfoS("klog line", "of", name)
				klog.V(3).InfoS("too detailed")
				logrus.WithField("key", "a value").Warn("logrus line of " + name)
			}()
		})
	}
	wg.Wait()
	klog.Flush()
	text := out.b.String()
	for _, want := range []string{
		`I\d{4} [\d:.]+ +\d+ k8s/logs_test.go:\d+\] of the process`,
		`I\d{4} [\d:.]+ +\d+ kube-a/logs_test.go:\d+\] "klog line" of="kube-a"`,
		`W\d{4} [\d:.]+ +\d+ kine/logs_test.go:\d+\] logrus line of kine key="a value"`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n != 5 {
		t.Errorf("%d lines, want 5:\n%s", n, text)
	}
	if Component() != Process {
		t.Errorf("the test itself is now %s", Component())
	}
}

func TestFatalIsOneLine(t *testing.T) {
	var out buffer
	if err := Setup(&out, 0); err != nil {
		t.Fatal(err)
	}
	exit, code := klog.OsExit, 0
	klog.OsExit = func(c int) { code = c }
	defer func() { klog.OsExit = exit }()
	klog.Fatalf("hook %q failed", "x")
	if code != 255 {
		t.Errorf("exit code %d, want klog's 255", code)
	}
	text := out.b.String()
	if !strings.HasSuffix(text, "] hook \"x\" failed\n") || strings.Count(text, "\n") != 1 {
		t.Errorf("got %d lines, want the one:\n%.2000s", strings.Count(text, "\n"), text)
	}
}

func TestTagLeavesOtherLinesAlone(t *testing.T) {
	for _, line := range []string{"goroutine 1 [running]:\n", "x] y\n", ""} {
		if got := string(tag([]byte(line), "c")); got != line {
			t.Errorf("got %q", got)
		}
	}
}

func TestSeverities(t *testing.T) {
	for level, want := range map[logrus.Level]byte{
		logrus.FatalLevel: 'F', logrus.ErrorLevel: 'E', logrus.WarnLevel: 'W', logrus.DebugLevel: 'I',
	} {
		if got := severity(level); got != want {
			t.Errorf("%v: got %c", level, got)
		}
	}
	if got := caller(&logrus.Entry{}); got != "log:1" {
		t.Errorf("got %q", got)
	}
}
