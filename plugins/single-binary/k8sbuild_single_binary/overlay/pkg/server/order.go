package server

import (
	"fmt"
	"slices"
	"strings"
)

// order sorts components so that each comes after those it waits for: the roles
// in their order, the others as late as what waits for them allows. all are
// those that may be named, left out or not.
func order(wanted, all []Component) ([]Component, error) {
	waits, err := dependencies(wanted, all)
	if err != nil {
		return nil, err
	}
	var sorted []Component
	placed := map[string]bool{}
	for len(sorted) < len(wanted) {
		next := slices.IndexFunc(wanted, func(c Component) bool {
			return !placed[c.Name] && !slices.ContainsFunc(waits[c.Name], func(n string) bool { return !placed[n] })
		})
		if next < 0 {
			return nil, fmt.Errorf("components wait for each other: %s", strings.Join(cycle(wanted, waits, placed), " after "))
		}
		placed[wanted[next].Name] = true
		sorted = append(sorted, wanted[next])
	}
	return sorted, nil
}

// dependencies are the names that each wanted component waits for.
func dependencies(wanted, all []Component) (map[string][]string, error) {
	waits := map[string][]string{}
	for _, c := range wanted {
		waits[c.Name] = nil
	}
	link := func(later, earlier string) {
		if _, ok := waits[later]; ok && slices.ContainsFunc(wanted, func(c Component) bool { return c.Name == earlier }) {
			waits[later] = append(waits[later], earlier)
		}
	}
	last := ""
	for _, c := range wanted {
		if c.Role != "" {
			link(c.Name, last)
			last = c.Name
		}
		for _, name := range c.After {
			other, err := find(c, name, all)
			if err != nil {
				return nil, err
			}
			link(c.Name, other)
		}
		for _, name := range c.Before {
			other, err := find(c, name, all)
			if err != nil {
				return nil, err
			}
			link(other, c.Name)
		}
	}
	return waits, nil
}

// find is the name of the component that c calls by its name or role.
func find(c Component, called string, all []Component) (string, error) {
	var known []string
	for _, other := range all {
		if called == other.Name || called == string(other.Role) && called != "" {
			return other.Name, nil
		}
		known = append(known, other.Name)
	}
	if slices.Contains(startOrder, Role(called)) {
		return "", nil // a role that this binary has no component for
	}
	slices.Sort(known)
	return "", fmt.Errorf("component %q names %q in its start order, which is not built into this binary; there are %s",
		c.Name, called, strings.Join(known, ", "))
}

// cycle is a chain of components of which each waits for the next, and the last
// is the first again. Each that is not placed waits for another such one.
func cycle(wanted []Component, waits map[string][]string, placed map[string]bool) []string {
	waiting := func(name string) bool { return !placed[name] }
	at := wanted[slices.IndexFunc(wanted, func(c Component) bool { return waiting(c.Name) })].Name
	var chain []string
	for !slices.Contains(chain, at) {
		chain = append(chain, at)
		at = waits[at][slices.IndexFunc(waits[at], waiting)]
	}
	return append(chain[slices.Index(chain, at):], at)
}
