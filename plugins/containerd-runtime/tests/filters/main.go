// Command filters writes the programs of seccomp filters, for a test that
// compares them with libseccomp's: one line of hexadecimal digits for each
// filter of the JSON array on its standard input.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"k8sbuild.dev/runc/seccomp"
)

type filter struct {
	Fallback uint32
	Archs    []string
	Rules    []struct {
		Call       string
		Action     uint32
		Conditions []seccomp.ScmpCondition
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var filters []filter
	if err := json.NewDecoder(in).Decode(&filters); err != nil {
		return fmt.Errorf("read filters: %w", err)
	}
	for i, f := range filters {
		program, err := f.program()
		if err != nil {
			return fmt.Errorf("filter %d: %w", i, err)
		}
		fmt.Fprintln(out, hex.EncodeToString(program))
	}
	return nil
}

func (f filter) program() ([]byte, error) {
	made, err := seccomp.NewFilter(seccomp.ScmpAction(f.Fallback))
	if err != nil {
		return nil, err
	}
	for _, name := range f.Archs {
		arch, err := seccomp.GetArchFromString(name)
		if err != nil {
			return nil, err
		}
		if err := made.AddArch(arch); err != nil {
			return nil, err
		}
	}
	for _, r := range f.Rules {
		call, err := seccomp.GetSyscallFromName(r.Call)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Call, err)
		}
		if err := made.AddRuleConditional(call, seccomp.ScmpAction(r.Action), r.Conditions); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Call, err)
		}
	}
	return exported(made)
}

func exported(made *seccomp.ScmpFilter) ([]byte, error) {
	file, err := os.CreateTemp("", "filter")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := made.ExportBPF(file); err != nil {
		return nil, err
	}
	return os.ReadFile(file.Name())
}
