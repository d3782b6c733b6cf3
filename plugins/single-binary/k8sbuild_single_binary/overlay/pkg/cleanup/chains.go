package cleanup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
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

// Chooser picks the chains of a table that are to go, from its lines as
// iptables-save writes them: ":CHAIN POLICY COUNTERS" and "-A CHAIN RULE".
type Chooser func(table []string) (chains []string)

// ByName is the chooser of chains by their names.
func ByName(chosen func(chain string) bool) Chooser {
	return func(table []string) (chains []string) {
		for _, line := range table {
			if name := ChainOf(line); name != "" && chosen(name) {
				chains = append(chains, name)
			}
		}
		return chains
	}
}

// ChainOf is the chain that a line defines, or nothing.
func ChainOf(line string) string {
	name, is := strings.CutPrefix(line, ":")
	if !is {
		return ""
	}
	name, _, _ = strings.Cut(name, " ")
	return name
}

// Ends are the chains that a line's rule is in and leads to, if it is a rule.
func Ends(line string) (from, to string) {
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "-A" {
		return "", ""
	}
	for i, word := range words[:len(words)-1] {
		if word == "-j" || word == "-g" {
			to = words[i+1]
		}
	}
	return words[1], to
}

// RemoveChains removes the chosen chains of iptables, and the rules of other
// chains that lead to them: of IPv4 and IPv6, and of both kinds of iptables,
// since a machine may have had the other one before. It returns how many there were.
func RemoveChains(ctx context.Context, choose Chooser) (int, error) {
	return removeChains(ctx, command, variants(exec.LookPath), choose)
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

func removeChains(ctx context.Context, run runner, variants []string, choose Chooser) (removed int, err error) {
	var errs []error
	for _, variant := range variants {
		saved, err := run(ctx, "", variant+"-save")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		script, chains := removal(saved, choose)
		if chains == 0 {
			continue
		}
		// Another program may be changing rules at this moment.
		if _, err := run(ctx, script, variant+"-restore", "--noflush", "--wait=5"); err != nil {
			errs = append(errs, err)
			continue
		}
		removed += chains
	}
	return removed, errors.Join(errs...)
}

// removal is what iptables-restore is to read so that nothing is left of the
// chosen chains, made of what iptables-save wrote.
func removal(saved string, choose Chooser) (script string, chains int) {
	var out strings.Builder
	for _, table := range tables(saved) {
		gone := choose(table[1:])
		if len(gone) == 0 {
			continue
		}
		chains += len(gone)
		out.WriteString(table[0] + "\n")
		for _, name := range gone {
			// Naming a chain empties it.
			out.WriteString(":" + name + " - [0:0]\n")
		}
		for _, line := range table[1:] {
			if from, to := Ends(line); slices.Contains(gone, to) && !slices.Contains(gone, from) {
				out.WriteString("-D" + strings.TrimPrefix(line, "-A") + "\n")
			}
		}
		for _, name := range gone {
			out.WriteString("-X " + name + "\n")
		}
		out.WriteString("COMMIT\n")
	}
	return out.String(), chains
}

// tables are the lines of each table, the first of which names it.
func tables(saved string) (all [][]string) {
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "*") {
			all = append(all, nil)
		}
		if len(all) > 0 && line != "" && line != "COMMIT" && !strings.HasPrefix(line, "#") {
			all[len(all)-1] = append(all[len(all)-1], line)
		}
	}
	return all
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
