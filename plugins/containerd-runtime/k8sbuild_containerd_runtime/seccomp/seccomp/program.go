package seccomp

import (
	"fmt"
	"slices"
)

// instruction is one of classic BPF, as struct sock_filter has it.
type instruction struct {
	Op     uint16
	Jt, Jf uint8
	K      uint32
}

// The operations that filters need: BPF_LD|BPF_W|BPF_ABS and so on.
const (
	opLoad  = 0x20
	opAnd   = 0x54
	opJump  = 0x05
	opEqual = 0x15
	opGT    = 0x25
	opGE    = 0x35
	opRet   = 0x06
)

// Where struct seccomp_data has what filters look at. Arguments are 8 bytes,
// on the little-endian machines that there are here the low half first.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// longest is the number of instructions that the kernel takes.
const longest = 4096

// The values of AUDIT_ARCH_*.
var auditArch = map[ScmpArch]uint32{
	ArchX86: 0x40000003, ArchAMD64: 0xc000003e, ArchX32: 0xc000003e, ArchARM: 0x40000028, ArchARM64: 0xc00000b7,
}

// wide are the architectures whose processes have arguments of 64 bits.
var wide = map[ScmpArch]bool{ArchAMD64: true, ArchARM64: true}

// program compiles the filter: a chain of architectures, for each of them a
// search tree of ranges of syscalls, and at its leaves actions or conditions.
func (f *ScmpFilter) program() ([]instruction, error) {
	program := []instruction{{Op: opLoad, K: offsetArch}}
	done := map[uint32]bool{}
	for _, arch := range f.archs {
		audit, known := auditArch[arch]
		if !known || done[audit] {
			continue // no process of this machine has it, or it is in the other's tree
		}
		done[audit] = true
		block := append([]instruction{{Op: opLoad, K: offsetNumber}}, tree(f.ranges(audit))...)
		program = append(program, instruction{Op: opEqual, K: audit, Jt: 1}, instruction{Op: opJump, K: uint32(len(block))})
		program = append(program, block...)
	}
	program = append(program, ret(badArch))
	if len(program) > longest {
		return nil, fmt.Errorf("the filter has %d instructions, the kernel takes %d", len(program), longest)
	}
	return program, nil
}

// span is the syscalls from a number up to the next span's, and the code for them.
type span struct {
	first uint32
	code  []instruction
}

// ranges are the spans of all numbers of an architecture's processes.
func (f *ScmpFilter) ranges(audit uint32) []span {
	spans := []span{{0, []instruction{ret(f.fallback)}}}
	put := func(first uint32, code []instruction) {
		if !slices.Equal(spans[len(spans)-1].code, code) {
			spans = append(spans, span{first, code})
		}
	}
	calls := f.calls(audit)
	for i, c := range calls {
		put(c.number, f.leaf(c.rules, c.wide))
		if i+1 == len(calls) || calls[i+1].number != c.number+1 {
			put(c.number+1, []instruction{ret(f.fallback)})
		}
	}
	if audit == auditArch[ArchAMD64] && !slices.Contains(f.archs, ArchX32) {
		put(x32Bit, []instruction{ret(badArch)})
		// A tracer skips a syscall with the number -1, which is seen here again.
		put(1<<32-1, []instruction{ret(f.fallback)})
	}
	if spans[0].first == 0 && len(spans) > 1 && spans[1].first == 0 {
		return spans[1:]
	}
	return spans
}

// call is a syscall with rules.
type call struct {
	number uint32
	rules  []rule
	wide   bool
}

// calls are the syscalls with rules that an architecture's processes have, in
// the order of their numbers.
func (f *ScmpFilter) calls(audit uint32) []call {
	found := map[uint32]call{}
	for _, arch := range f.archs {
		if auditArch[arch] != audit {
			continue
		}
		for name, rules := range f.rulesFor(arch) {
			if number, ok := tables()[arch][name]; ok {
				found[number] = call{number, rules, wide[arch]}
			}
		}
	}
	var sorted []call
	for _, c := range found {
		sorted = append(sorted, c)
	}
	slices.SortFunc(sorted, func(a, b call) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return sorted
}

// rulesFor are the rules of the syscalls of an architecture.
func (f *ScmpFilter) rulesFor(arch ScmpArch) map[string][]rule {
	if arch == ArchX86 {
		return withMultiplexed(f.rules)
	}
	return f.rules
}

// leaf is the code for one syscall: of each rule in turn, then the filter's default.
func (f *ScmpFilter) leaf(rules []rule, wide bool) []instruction {
	var code []instruction
	for _, r := range rules {
		if len(r.conditions) == 0 {
			return append(code, ret(r.action))
		}
		code = append(code, r.code(wide)...)
	}
	return append(code, ret(f.fallback))
}

// tree is the code that finds the span of a number. Each part of it ends with
// a return, so that parts can be put together in any order.
func tree(spans []span) []instruction {
	if len(spans) == 1 {
		return spans[0].code
	}
	middle := len(spans) / 2
	low, high := tree(spans[:middle]), tree(spans[middle:])
	var code []instruction
	if len(low) <= 255 {
		code = []instruction{{Op: opGE, K: spans[middle].first, Jt: uint8(len(low))}}
	} else {
		code = []instruction{{Op: opGE, K: spans[middle].first, Jf: 1}, {Op: opJump, K: uint32(len(low))}}
	}
	return append(append(code, low...), high...)
}

func ret(action ScmpAction) instruction { return instruction{Op: opRet, K: uint32(action)} }
