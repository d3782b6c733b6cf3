package seccomp

import "slices"

// target is where a jump of a condition leads: some instructions on, or to the
// condition's end where it holds, or where it does not.
type target int

const (
	next target = -iota
	hold
	fail
)

// step is an instruction of a condition, with targets that are not known yet.
type step struct {
	op    uint16
	k     uint32
	yes   target
	no    target
	jumps bool
}

// code returns the rule's action where all its conditions hold, else it goes on
// behind itself.
func (r rule) code(wide bool) []instruction {
	// From the last one: where a condition does not hold, the rest is jumped over.
	code := []instruction{ret(r.action)}
	for _, c := range slices.Backward(r.conditions) {
		code = append(c.code(wide, len(code)), code...)
	}
	return code
}

// code goes on behind itself where the condition holds, and jumps over rest
// more instructions where it does not.
func (c ScmpCondition) code(wide bool, rest int) []instruction {
	steps := c.low()
	if wide {
		steps = append(c.high(), steps...)
	}
	code := make([]instruction, len(steps))
	for i, s := range steps {
		left := len(steps) - i - 1
		to := func(t target) uint8 { return uint8(map[target]int{next: 0, hold: left, fail: left + rest}[t]) }
		code[i] = instruction{Op: s.op, K: s.k}
		if s.jumps {
			code[i].Jt, code[i].Jf = to(s.yes), to(s.no)
		}
	}
	return code
}

func load(offset uint32) step { return step{op: opLoad, k: offset} }

func jump(op uint16, k uint32, yes, no target) step {
	return step{op: op, k: k, yes: yes, no: no, jumps: true}
}

// high looks at the upper half of the argument, and goes on where the lower
// half decides.
func (c ScmpCondition) high() []step {
	value, at := uint32(c.Operand1>>32), load(offsetArgs+8*uint32(c.Argument)+4)
	switch c.Op {
	case CompareEqual:
		return []step{at, jump(opEqual, value, next, fail)}
	case CompareNotEqual:
		return []step{at, jump(opEqual, value, next, hold)}
	case CompareGreater, CompareGreaterEqual:
		return []step{at, jump(opGT, value, hold, next), jump(opEqual, value, next, fail)}
	case CompareLess, CompareLessOrEqual:
		return []step{at, jump(opGT, value, fail, next), jump(opEqual, value, next, hold)}
	default:
		masked := step{op: opAnd, k: value}
		return []step{at, masked, jump(opEqual, uint32((c.Operand1&c.Operand2)>>32), next, fail)}
	}
}

// low looks at the lower half.
func (c ScmpCondition) low() []step {
	value, at := uint32(c.Operand1), load(offsetArgs+8*uint32(c.Argument))
	switch c.Op {
	case CompareEqual:
		return []step{at, jump(opEqual, value, hold, fail)}
	case CompareNotEqual:
		return []step{at, jump(opEqual, value, fail, hold)}
	case CompareGreater:
		return []step{at, jump(opGT, value, hold, fail)}
	case CompareGreaterEqual:
		return []step{at, jump(opGE, value, hold, fail)}
	case CompareLess:
		return []step{at, jump(opGE, value, fail, hold)}
	case CompareLessOrEqual:
		return []step{at, jump(opGT, value, fail, hold)}
	default:
		masked := step{op: opAnd, k: value}
		return []step{at, masked, jump(opEqual, uint32(c.Operand1&c.Operand2), hold, fail)}
	}
}
