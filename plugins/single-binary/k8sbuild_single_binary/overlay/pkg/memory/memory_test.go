package memory

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const maps = `00400000-03d1d000 r-xp 00000000 fe:00 11610797                           /a b/k8s
03d1d000-07bab000 r--p 0391d000 fe:00 11610797                           /a b/k8s
07bab000-07d23000 rw-p 077ab000 fe:00 11610797                           /a b/k8s
07d23000-07e00000 rw-p 00000000 00:00 0
7f0000000000-7f0000001000 r--s 00000000 fe:00 22                         /a b/k8s
7f1000000000-7f1000001000 r--p 00000000 fe:00 22                         /a b/data
`

func TestOnlyUnchangeablePagesOfTheProgram(t *testing.T) {
	got, err := readOnly(strings.NewReader(maps), "/a b/k8s")
	want := []area{{0x400000, 0x3d1d000}, {0x3d1d000, 0x7bab000}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %x, %v", got, err)
	}
	if _, err := readOnly(strings.NewReader("x-y r--p 0 0 0 /p\n"), "/p"); err == nil {
		t.Error("takes a line without addresses")
	}
}

func TestRelease(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := resident(t, program)
	if err := Release(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t, program); after >= before {
		t.Errorf("%d KiB of the program are resident, %d before", after, before)
	}
}

// resident is how much of the program's code and constants is in memory, in KiB.
func resident(t *testing.T, program string) int {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	area := regexp.MustCompile(`(?m)^\S+ r-[x-]p .*` + regexp.QuoteMeta(program) + `\n(?:\w+: .*\n)*?Rss: +(\d+) kB$`)
	for _, m := range area.FindAllStringSubmatch(string(smaps), -1) {
		kib, _ := strconv.Atoi(m[1])
		sum += kib
	}
	return sum
}
