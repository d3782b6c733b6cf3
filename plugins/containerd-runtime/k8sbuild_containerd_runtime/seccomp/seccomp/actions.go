// Package seccomp makes seccomp filters for runc, in Go. It has those names of
// libseccomp's Go binding that runc uses, so that runc needs another import and
// no other change, and its filters decide as libseccomp's do: a test compares
// the two.
//
// It differs in two points. The syscalls that it knows are those of the module
// golang.org/x/sys. Where rules of one syscall with conditions give different
// actions and more than one of them matches, the first one counts.
package seccomp

import (
	"fmt"
	"strings"
)

// ScmpAction is what the kernel does with a syscall: the value that a filter
// returns.
type ScmpAction uint32

// Actions; see seccomp(2).
const (
	ActKillThread  ScmpAction = 0x00000000
	ActTrap        ScmpAction = 0x00030000
	ActErrno       ScmpAction = 0x00050000
	ActNotify      ScmpAction = 0x7fc00000
	ActTrace       ScmpAction = 0x7ff00000
	ActLog         ScmpAction = 0x7ffc0000
	ActAllow       ScmpAction = 0x7fff0000
	ActKillProcess ScmpAction = 0x80000000
	// ActInvalid is no action.
	ActInvalid ScmpAction = 0xffffffff
)

// codeBits are those of an action that carry an errno or a message.
const codeBits = 0xffff

// SetReturnCode is the action with an errno, or with a message for a tracer.
func (a ScmpAction) SetReturnCode(code int16) ScmpAction {
	if kind := a &^ codeBits; kind == ActErrno || kind == ActTrace {
		return kind | ScmpAction(uint16(code))
	}
	return a
}

// ScmpArch is an architecture, by the name of its syscall table.
type ScmpArch string

// The architectures that have a table here, and those that runc knows besides.
const (
	ArchInvalid     ScmpArch = ""
	ArchNative      ScmpArch = "native"
	ArchX86         ScmpArch = "x86"
	ArchAMD64       ScmpArch = "amd64"
	ArchX32         ScmpArch = "x32"
	ArchARM         ScmpArch = "arm"
	ArchARM64       ScmpArch = "arm64"
	ArchMIPS        ScmpArch = "mips"
	ArchMIPS64      ScmpArch = "mips64"
	ArchMIPS64N32   ScmpArch = "mips64n32"
	ArchMIPSEL      ScmpArch = "mipsel"
	ArchMIPSEL64    ScmpArch = "mipsel64"
	ArchMIPSEL64N32 ScmpArch = "mipsel64n32"
	ArchPPC         ScmpArch = "ppc"
	ArchPPC64       ScmpArch = "ppc64"
	ArchPPC64LE     ScmpArch = "ppc64le"
	ArchS390        ScmpArch = "s390"
	ArchS390X       ScmpArch = "s390x"
	ArchPARISC      ScmpArch = "parisc"
	ArchPARISC64    ScmpArch = "parisc64"
	ArchRISCV64     ScmpArch = "riscv64"
	ArchLOONGARCH64 ScmpArch = "loong64"
)

var architectures = []ScmpArch{
	ArchX86, ArchAMD64, ArchX32, ArchARM, ArchARM64, ArchMIPS, ArchMIPS64, ArchMIPS64N32, ArchMIPSEL, ArchMIPSEL64,
	ArchMIPSEL64N32, ArchPPC, ArchPPC64, ArchPPC64LE, ArchS390, ArchS390X, ArchPARISC, ArchPARISC64, ArchRISCV64,
	ArchLOONGARCH64,
}

// GetArchFromString is the architecture of a name.
func GetArchFromString(name string) (ScmpArch, error) {
	switch lower := strings.ToLower(name); lower {
	case "x86_64", "x86-64", "x64":
		return ArchAMD64, nil
	case "aarch64":
		return ArchARM64, nil
	case "loongarch64":
		return ArchLOONGARCH64, nil
	default:
		for _, arch := range architectures {
			if lower == string(arch) {
				return arch, nil
			}
		}
	}
	return ArchInvalid, fmt.Errorf("cannot convert unrecognized string %q", name)
}

// ScmpCompareOp compares an argument of a syscall.
type ScmpCompareOp uint

// Comparisons.
const (
	CompareInvalid ScmpCompareOp = iota
	CompareNotEqual
	CompareLess
	CompareLessOrEqual
	CompareEqual
	CompareGreaterEqual
	CompareGreater
	CompareMaskedEqual
)

// arguments is how many a syscall has at most.
const arguments = 6

// ScmpCondition holds for a syscall's argument, which is unsigned.
type ScmpCondition struct {
	Argument uint
	Op       ScmpCompareOp
	// Operand1 is what the argument is compared with, or the mask.
	Operand1 uint64
	// Operand2 is what the masked argument is compared with.
	Operand2 uint64
}

// MakeCondition makes a condition.
func MakeCondition(arg uint, op ScmpCompareOp, values ...uint64) (ScmpCondition, error) {
	var c ScmpCondition
	switch {
	case op == CompareInvalid || op > CompareMaskedEqual:
		return c, fmt.Errorf("invalid comparison operator %d", op)
	case arg >= arguments:
		return c, fmt.Errorf("syscalls only have up to %d arguments (%d given)", arguments, arg)
	case len(values) == 0 || len(values) > 2:
		return c, fmt.Errorf("conditions can have at most 2 operands (%d given)", len(values))
	}
	c = ScmpCondition{Argument: arg, Op: op, Operand1: values[0]}
	if len(values) == 2 {
		c.Operand2 = values[1]
	}
	return c, nil
}
