package host

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
)

// ResolvConfs are files with the machine's name servers, best first: what
// systemd-resolved puts into /etc/resolv.conf is itself, on a loopback address
// that a pod cannot reach.
var ResolvConfs = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// ResolvConf is the first of the files that names a server which pods can
// reach, or nothing.
func ResolvConf(files []string) string {
	for _, file := range files {
		if usable(file) {
			return file
		}
	}
	return ""
}

func usable(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(words[1]); err == nil && !addr.IsLoopback() {
			return true
		}
	}
	return false
}
