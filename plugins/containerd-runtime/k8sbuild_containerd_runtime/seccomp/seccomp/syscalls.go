package seccomp

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ScmpSyscall is a syscall: its number on an architecture, or a negative number
// where only others have it.
type ScmpSyscall int32

// x32Bit marks the syscalls of x32 processes, whose table is x86_64's but for
// those of x32Own.
const x32Bit = 1 << 30

// x32Own are the syscalls that x32 has numbers of its own for, in their order
// from 512 on.
const (
	x32First = 512
	x32Own   = "rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace rt_sigpending " +
		"rt_sigtimedwait rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid set_robust_list " +
		"get_robust_list vmsplice move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv " +
		"process_vm_writev setsockopt getsockopt io_setup io_submit execveat preadv2 pwritev2"
	// x32Lacks are those of x86_64 that x32 has not got at all.
	x32Lacks = "uselib create_module get_kernel_syms query_module nfsservctl _sysctl set_thread_area get_thread_area " +
		"epoll_ctl_old epoll_wait_old vserver map_shadow_stack uprobe uretprobe"
	// armPrivate are 32-bit ARM's own, from armFirst on.
	armFirst   = 0x0f0001
	armPrivate = "breakpoint cacheflush usr26 usr32 set_tls"
)

// table is the syscalls of one architecture.
type table map[string]uint32

// tables are read once: most runs of runc make no filter.
var tables = sync.OnceValue(func() map[ScmpArch]table {
	amd64 := parse(numbersAMD64)
	x32 := make(table, len(amd64))
	for name, number := range amd64 {
		x32[name] = number | x32Bit
	}
	for _, name := range strings.Fields(x32Lacks) {
		delete(x32, name)
	}
	number(x32, x32Own, x32First|x32Bit)
	arm := parse(numbersARM)
	number(arm, armPrivate, armFirst)
	return map[ScmpArch]table{
		ArchX86: parse(numbers386), ArchAMD64: amd64, ArchX32: x32, ArchARM: arm, ArchARM64: parse(numbersARM64),
	}
})

// parse reads a generated table: names and numbers, in turn.
func parse(text string) table {
	words := strings.Fields(text)
	t := make(table, len(words)/2)
	for pair := range slices.Chunk(words, 2) {
		// The table is generated, each second word is a number.
		n, _ := strconv.ParseUint(pair[1], 10, 32)
		t[pair[0]] = uint32(n)
	}
	return t
}

func number(t table, names string, first uint32) {
	for i, name := range strings.Fields(names) {
		t[name] = first + uint32(i)
	}
}

// all are the names that any architecture knows, sorted.
var all = sync.OnceValue(func() []string {
	var names []string
	for _, t := range tables() {
		for name := range t {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
})

// ErrSyscallDoesNotExist says that no architecture has a syscall.
var ErrSyscallDoesNotExist = errors.New("could not resolve syscall name")

// GetNativeArch is the architecture of this program.
func GetNativeArch() (ScmpArch, error) {
	switch arch := ScmpArch(runtime.GOARCH); arch {
	case ArchAMD64, ArchARM64:
		return arch, nil
	default:
		return ArchInvalid, fmt.Errorf("no syscalls are known of %s", arch)
	}
}

// GetSyscallFromName is a syscall of this program's architecture.
func GetSyscallFromName(name string) (ScmpSyscall, error) {
	arch, err := GetNativeArch()
	if err != nil {
		return 0, err
	}
	return GetSyscallFromNameByArch(name, arch)
}

// GetSyscallFromNameByArch is a syscall of an architecture.
func GetSyscallFromNameByArch(name string, arch ScmpArch) (ScmpSyscall, error) {
	t, ok := tables()[arch]
	if !ok {
		return 0, fmt.Errorf("no syscalls are known of %s", arch)
	}
	if number, ok := t[name]; ok {
		return ScmpSyscall(number), nil
	}
	if i, ok := slices.BinarySearch(all(), name); ok {
		return ScmpSyscall(-1 - i), nil
	}
	return 0, ErrSyscallDoesNotExist
}

// nameOf is the name of a syscall of this program's architecture.
func nameOf(call ScmpSyscall) (string, error) {
	if call < 0 {
		if i := -1 - int(call); i < len(all()) {
			return all()[i], nil
		}
		return "", ErrSyscallDoesNotExist
	}
	arch, err := GetNativeArch()
	if err != nil {
		return "", err
	}
	for name, number := range tables()[arch] {
		if number == uint32(call) {
			return name, nil
		}
	}
	return "", ErrSyscallDoesNotExist
}
