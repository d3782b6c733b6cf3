package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
)

// badArch is the action for the syscalls of architectures that a filter is not for.
const badArch = ActKillThread

// rule is an action for a syscall for which all conditions hold.
type rule struct {
	action     ScmpAction
	conditions []ScmpCondition
}

// ScmpFilter is a filter that rules are added to.
type ScmpFilter struct {
	fallback   ScmpAction
	archs      []ScmpArch
	rules      map[string][]rule
	log, ssb   bool
	noNewPrivs bool
}

// NewFilter makes a filter for this program's architecture; fallback is the
// action for syscalls without a rule.
func NewFilter(fallback ScmpAction) (*ScmpFilter, error) {
	if fallback == ActInvalid {
		return nil, errors.New("the filter's default action is invalid")
	}
	native, err := GetNativeArch()
	if err != nil {
		return nil, err
	}
	return &ScmpFilter{fallback: fallback, archs: []ScmpArch{native}, rules: map[string][]rule{}, noNewPrivs: true}, nil
}

// AddArch adds an architecture, for which all rules hold as well.
func (f *ScmpFilter) AddArch(arch ScmpArch) error {
	if arch == ArchInvalid {
		return errors.New("the architecture is invalid")
	}
	if arch != ArchNative && !slices.Contains(f.archs, arch) {
		f.archs = append(f.archs, arch)
	}
	return nil
}

// AddRule adds an action for each call of a syscall.
func (f *ScmpFilter) AddRule(call ScmpSyscall, action ScmpAction) error {
	return f.AddRuleConditional(call, action, nil)
}

// AddRuleConditional adds an action for the calls of a syscall for which all
// conditions hold.
func (f *ScmpFilter) AddRuleConditional(call ScmpSyscall, action ScmpAction, conditions []ScmpCondition) error {
	if action == f.fallback || action == ActInvalid {
		return errors.New("the rule's action is invalid, or the filter's default")
	}
	name, err := nameOf(call)
	if err != nil {
		return fmt.Errorf("syscall %d: %w", call, err)
	}
	f.rules[name] = with(f.rules[name], rule{action, conditions})
	return nil
}

// with adds a rule to those of a syscall. One without conditions takes the
// place of all that have some, and is the last one.
func with(rules []rule, added rule) []rule {
	if len(rules) > 0 && len(rules[0].conditions) == 0 {
		return rules
	}
	if len(added.conditions) == 0 {
		return []rule{added}
	}
	return append(rules, added)
}

// SetOptimize is there for runc, which asks for a search tree: it is one always.
func (f *ScmpFilter) SetOptimize(int) error { return nil }

// SetNoNewPrivsBit says whether loading the filter takes away new privileges.
func (f *ScmpFilter) SetNoNewPrivsBit(on bool) error {
	f.noNewPrivs = on
	return nil
}

// GetNoNewPrivsBit is what SetNoNewPrivsBit said.
func (f *ScmpFilter) GetNoNewPrivsBit() (bool, error) { return f.noNewPrivs, nil }

// SetLogBit says whether the kernel logs all actions but ActAllow.
func (f *ScmpFilter) SetLogBit(on bool) error {
	if !flagKnown(flagLog) {
		return &VersionError{"SECCOMP_FILTER_FLAG_LOG"}
	}
	f.log = on
	return nil
}

// GetLogBit is what SetLogBit said.
func (f *ScmpFilter) GetLogBit() (bool, error) { return f.log, nil }

// SetSSB says whether speculative store bypass stays allowed.
func (f *ScmpFilter) SetSSB(on bool) error {
	if !flagKnown(flagSpecAllow) {
		return &VersionError{"SECCOMP_FILTER_FLAG_SPEC_ALLOW"}
	}
	f.ssb = on
	return nil
}

// GetSSB is what SetSSB said.
func (f *ScmpFilter) GetSSB() (bool, error) { return f.ssb, nil }

// ExportBPF writes the filter's program as the kernel takes it.
func (f *ScmpFilter) ExportBPF(file *os.File) error {
	program, err := f.program()
	if err != nil {
		return err
	}
	return binary.Write(file, binary.NativeEndian, program)
}
