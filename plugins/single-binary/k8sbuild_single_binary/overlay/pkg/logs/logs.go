// Package logs is the process's one log. Kubernetes' lines (klog) and the
// storage's (logrus) go to one writer, and each says which component wrote it.
package logs

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
)

// Process is the component of lines that belong to no component.
const Process = "k8s"

// currentLabels is the label set of this goroutine. A goroutine inherits it
// from the one that started it, so that it tells components apart that know
// nothing of each other. Only its identity is used, never what it points to.
//
//go:linkname currentLabels runtime/pprof.runtime_getProfLabel
func currentLabels() unsafe.Pointer

var labels sync.Map // unsafe.Pointer of a label set → component

// Do runs f, and all goroutines that it starts, as the component: in log lines
// and in profiles.
func Do(ctx context.Context, component string, f func(context.Context)) {
	pprof.Do(ctx, pprof.Labels("component", component), func(ctx context.Context) {
		key := currentLabels()
		labels.Store(key, component)
		f(ctx)
	})
}

// Component is the component that the current goroutine belongs to.
func Component() string {
	if name, ok := labels.Load(currentLabels()); ok {
		return name.(string)
	}
	return Process
}

// Setup sends all logs to w with the verbosity v.
func Setup(w io.Writer, v int) error {
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	for _, f := range [][2]string{
		{"logtostderr", "false"}, {"alsologtostderr", "false"}, {"one_output", "true"},
		{"stderrthreshold", "FATAL"}, {"v", strconv.Itoa(v)},
	} {
		if err := fs.Set(f[0], f[1]); err != nil {
			return fmt.Errorf("set up log: %w", err)
		}
	}
	klog.SetOutput(&writer{w: w})
	logrus.SetOutput(w)
	logrus.SetFormatter(formatter{})
	logrus.SetReportCaller(true)
	return nil
}

// writer puts the component into klog's header, before the file's name: what
// reads klog's lines reads these too.
type writer struct{ w io.Writer }

func (l *writer) Write(line []byte) (int, error) {
	// A fatal line is followed by the stacks of all goroutines, once for each
	// severity: 10 MB in which nobody finds the line. SIGQUIT still gives them.
	if bytes.HasPrefix(line, []byte("goroutine ")) {
		return len(line), nil
	}
	_, err := l.w.Write(tag(line, Component()))
	return len(line), err
}

func tag(line []byte, component string) []byte {
	header, rest, found := bytes.Cut(line, []byte("] "))
	at := bytes.LastIndexByte(header, ' ') + 1
	if !found || at == 0 {
		return line
	}
	return bytes.Join([][]byte{header[:at], []byte(component + "/"), header[at:], []byte("] "), rest}, nil)
}

// formatter gives logrus' lines klog's form.
type formatter struct{}

func (formatter) Format(e *logrus.Entry) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%c%s %7d %s/%s] %s", severity(e.Level), e.Time.Format("0102 15:04:05.000000"),
		os.Getpid(), Component(), caller(e), strings.TrimRight(e.Message, "\n"))
	for key, value := range e.Data {
		fmt.Fprintf(&b, " %s=%q", key, fmt.Sprint(value))
	}
	b.WriteByte('\n')
	return []byte(b.String()), nil
}

func severity(level logrus.Level) byte {
	switch {
	case level <= logrus.FatalLevel:
		return 'F'
	case level == logrus.ErrorLevel:
		return 'E'
	case level == logrus.WarnLevel:
		return 'W'
	}
	return 'I'
}

func caller(e *logrus.Entry) string {
	if e.Caller == nil {
		return "log:1"
	}
	return fmt.Sprintf("%s:%d", filepath.Base(e.Caller.File), e.Caller.Line)
}
