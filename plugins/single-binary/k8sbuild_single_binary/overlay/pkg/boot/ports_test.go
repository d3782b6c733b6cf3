package boot

import (
	order "encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"k8sbuild.dev/distribution/pkg/config"
)

// listening are the addresses that a process listens at, as the kernel says.
func listening(t *testing.T, pid int) (addresses []netip.AddrPort) {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	own := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(proc, "fd", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		target, _ := os.Readlink(file)
		own[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(filepath.Join(proc, "net", table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			const listens = "0A"
			if fields := strings.Fields(line); fields[3] == listens && own[fields[9]] {
				addresses = append(addresses, decode(t, fields[1]))
			}
		}
	}
	return addresses
}

// decode reads the kernel's form: each 32 bits of the address in the machine's
// order of bytes.
func decode(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil {
		t.Fatalf("%q: %v, %v", text, err, err2)
	}
	for i := 0; i < len(raw); i += 4 {
		order.NativeEndian.PutUint32(raw[i:], order.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number))
}

// declared are the ports that the server says it has, for this command line.
func (b *booted) declared() []config.Listener {
	b.t.Helper()
	cfg := config.Default()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	cfg.AddFlags(fs)
	if err := fs.Parse(b.args); err != nil {
		b.t.Fatal(err)
	}
	return cfg.Listeners()
}

// wantDeclared wants that the server listens at what it says, and that each of
// these asks who it is, or is on loopback.
func (b *booted) wantDeclared() {
	b.t.Helper()
	declared := b.declared()
	said := map[string]bool{}
	for _, l := range declared {
		said[strconv.Itoa(l.Port)] = true
		if addr, err := netip.ParseAddr(l.Address); err != nil || l.Open() && !addr.IsLoopback() {
			b.t.Errorf("%+v asks nobody, and is not on loopback", l)
		}
	}
	found := listening(b.t, b.cmd.Process.Pid)
	for _, at := range found {
		declares := func(l config.Listener) bool {
			addr := netip.MustParseAddr(l.Address)
			// Go listens for both families at once.
			return l.Port == int(at.Port()) && (addr == at.Addr() || addr.IsUnspecified() && at.Addr().IsUnspecified())
		}
		if !slices.ContainsFunc(declared, declares) {
			b.t.Errorf("listens at %s, which is not declared", at)
		}
		delete(said, fmt.Sprint(at.Port()))
	}
	if len(said) > 0 {
		b.t.Errorf("does not listen at %v, only at %v", said, found)
	}
}

func TestPortsAreThoseThatAreDeclared(t *testing.T) {
	b := prepare(t, t.TempDir(), "--bind-address=127.0.0.1")
	b.start()
	b.wantDeclared()
	b.stop()
}
