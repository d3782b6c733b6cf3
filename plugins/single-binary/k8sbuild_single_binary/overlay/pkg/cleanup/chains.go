package cleanup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// runner runs a program of the machine with a text as its input.
type runner func(ctx context.Context, input, program string, args ...string) (string, error)

// command is the runner of the real machine.
func command(ctx context.Context, input, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// RemoveChains removes the chains of iptables that chosen picks by name, and
// the rules of other chains that lead to them: of IPv4 and IPv6, and of both
// kinds of iptables, since a machine may have had the other one before. It
// returns how many there were.
func RemoveChains(ctx context.Context, chosen func(chain string) bool) (int, error) {
	return removeChains(ctx, command, variants(exec.LookPath), chosen)
}

// variants are the kinds of iptables that are installed: by the names of both
// kinds, or by the one name where these are not known.
func variants(look func(string) (string, error)) (found []string) {
	for _, family := range []string{"iptables", "ip6tables"} {
		before := len(found)
		for _, name := range []string{family + "-legacy", family + "-nft"} {
			if _, err := look(name + "-save"); err == nil {
				found = append(found, name)
			}
		}
		if _, err := look(family + "-save"); err == nil && len(found) == before {
			found = append(found, family)
		}
	}
	return found
}

func removeChains(ctx context.Context, run runner, variants []string, chosen func(string) bool) (removed int, err error) {
	var errs []error
	for _, variant := range variants {
		saved, err := run(ctx, "", variant+"-save")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		script, chains := removal(saved, chosen)
		if chains == 0 {
			continue
		}
		if _, err := run(ctx, script, variant+"-restore", "--noflush"); err != nil {
			errs = append(errs, err)
			continue
		}
		removed += chains
	}
	return removed, errors.Join(errs...)
}

// removal is what iptables-restore is to read so that nothing is left of the
// chosen chains, made of what iptables-save wrote.
func removal(saved string, chosen func(string) bool) (script string, chains int) {
	var out, drop strings.Builder
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			out.WriteString(line + "\n")
			drop.Reset()
		case strings.HasPrefix(line, ":"):
			name, _, _ := strings.Cut(line[1:], " ")
			if chosen(name) {
				chains++
				// Naming a chain empties it.
				out.WriteString(":" + name + " - [0:0]\n")
				drop.WriteString("-X " + name + "\n")
			}
		case strings.HasPrefix(line, "-A ") && leads(line, chosen):
			out.WriteString("-D " + line[3:] + "\n")
		case line == "COMMIT":
			out.WriteString(drop.String() + "COMMIT\n")
		}
	}
	return out.String(), chains
}

// leads says whether a rule of a chain that stays leads to one that goes.
func leads(rule string, chosen func(string) bool) bool {
	words := strings.Fields(rule)
	if chosen(words[1]) {
		return false
	}
	for i, word := range words[:len(words)-1] {
		if (word == "-j" || word == "-g") && chosen(words[i+1]) {
			return true
		}
	}
	return false
}

// RemoveTable removes a table of nftables, which iptables does not show, from
// each of the families. Without nft there is none.
func RemoveTable(ctx context.Context, name string, families ...string) (int, error) {
	if _, err := exec.LookPath("nft"); err != nil {
		return 0, nil
	}
	return removeTable(ctx, command, name, families...)
}

func removeTable(ctx context.Context, run runner, name string, families ...string) (removed int, err error) {
	tables, err := run(ctx, "", "nft", "list", "tables")
	if err != nil {
		return 0, err
	}
	for _, family := range families {
		if !strings.Contains(tables+"\n", "table "+family+" "+name+"\n") {
			continue
		}
		if _, err := run(ctx, "", "nft", "delete", "table", family, name); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
