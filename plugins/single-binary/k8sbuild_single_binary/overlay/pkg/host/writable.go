package host

import "os"

// ConntrackMax is the kernel's limit of tracked connections.
const ConntrackMax = "/proc/sys/net/netfilter/nf_conntrack_max"

// Writable says whether a file of the kernel's is there and may be written.
func Writable(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
