package seccomp

import (
	"runtime"
	"syscall"
	"unsafe"
)

// What seccomp(2) is asked for, and the flags of a filter.
const (
	setModeFilter  = 1
	getActionAvail = 2

	flagTsync      = 1 << 0
	flagLog        = 1 << 1
	flagSpecAllow  = 1 << 2
	flagTsyncESRCH = 1 << 4
	flagWaitKill   = 1 << 5
)

// VersionError says that the kernel does not know a flag.
type VersionError struct{ what string }

func (e *VersionError) Error() string { return e.what + " is not known to this kernel" }

// levels are what each level of libseccomp's API, from the second one on, asks
// of the kernel.
var levels = []func() bool{
	func() bool { return flagKnown(flagTsync) },
	func() bool { return flagKnown(flagLog) && actionKnown(ActLog) && actionKnown(ActKillProcess) },
	func() bool { return flagKnown(flagSpecAllow) },
	func() bool { return actionKnown(ActNotify) },
	func() bool { return flagKnown(flagTsyncESRCH) },
	func() bool { return flagKnown(flagWaitKill) },
}

// GetAPI is the level of libseccomp's API that this kernel is good for.
func GetAPI() (uint, error) {
	level := uint(1)
	for _, known := range levels {
		if !known() {
			break
		}
		level++
	}
	return level, nil
}

// GetLibraryVersion is the version of libseccomp: zero, it is not there.
func GetLibraryVersion() (major, minor, micro uint) { return 0, 0, 0 }

// flagKnown asks with a filter that is nowhere: a flag that is known is looked
// at first.
func flagKnown(flag uintptr) bool { return ask(setModeFilter, flag, nil) == syscall.EFAULT }

func actionKnown(action ScmpAction) bool { return ask(getActionAvail, 0, unsafe.Pointer(&action)) == 0 }

func ask(operation, flags uintptr, argument unsafe.Pointer) syscall.Errno {
	number := tables()[ScmpArch(runtime.GOARCH)]["seccomp"]
	_, _, errno := syscall.Syscall(uintptr(number), operation, flags, uintptr(argument))
	return errno
}
