package nettest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestTheNetworkIsOurOwn(t *testing.T) {
	Need(t, "networks of tests")
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Fatal(links, err)
	}
	for _, l := range links {
		if addresses, err := l.Addrs(); l.Name != "lo" && len(addresses) > 0 || err != nil {
			t.Errorf("%s has %v, %v", l.Name, addresses, err)
		}
	}
}

func TestTheCodeOfTheTestsIsOurs(t *testing.T) {
	Need(t, "exit codes of tests")
	defer func(args []string) { os.Args = args }(os.Args)
	for argument, want := range map[string]int{"-test.run=^$": 0, "-test.nonsense": 2} {
		os.Args = []string{os.Args[0], argument}
		if code, err := again(); code != want || err != nil {
			t.Errorf("%s: got %d, %v", argument, code, err)
		}
	}
}

func TestOnlyOthersThanRootNeedAUserNamespace(t *testing.T) {
	if attr := namespaces(0, 0); attr.Cloneflags != syscall.CLONE_NEWNET || attr.UidMappings != nil {
		t.Errorf("got %+v", attr)
	}
	attr := namespaces(1000, 100)
	if attr.Cloneflags&syscall.CLONE_NEWUSER == 0 || attr.UidMappings[0].HostID != 1000 || attr.GidMappings[0].HostID != 100 {
		t.Errorf("got %+v", attr)
	}
}

// told is a test that keeps what it is told.
type told string

func (*told) Helper()                            {}
func (t *told) Skipf(format string, args ...any) { *t = told(fmt.Sprintf(format, args...)) }

func TestWithoutOneATestIsSkipped(t *testing.T) {
	t.Setenv(inside, "")
	var skipped told
	if Need(&skipped, "routes"); !strings.HasSuffix(string(skipped), "routes are NOT tried") {
		t.Errorf("told %q", skipped)
	}
}
