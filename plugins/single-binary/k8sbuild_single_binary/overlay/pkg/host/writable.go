package host

import "os"

// ConntrackMax is the kernel's limit of tracked connections.
const ConntrackMax = "/proc/sys/net/netfilter/nf_conntrack_max"

// Writable says whether a setting of the kernel is there and may be changed.
func Writable(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
