package kubeletconfig

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fields are how errors of decoding and of validation name a field.
var fields = []*regexp.Regexp{
	regexp.MustCompile(`unknown field "([^"]+)"`),
	regexp.MustCompile(`Go struct field [A-Za-z0-9]+\.([A-Za-z0-9_.]+) of type`),
	regexp.MustCompile(`invalid configuration: (?:[A-Za-z ]* )?([a-z][A-Za-z0-9.]+) `),
	regexp.MustCompile(`\(([a-z][A-Za-z0-9.]+)\)`),
}

// located names file and line of the first field that an error names, or of no field at all.
func located(file File, node *yaml.Node, err error) error {
	for _, field := range fields {
		if found := field.FindStringSubmatch(err.Error()); found != nil {
			if at := line(node, found[1]); at > 0 {
				return fmt.Errorf("%s:%d: %w", file.Name, at, err)
			}
		}
	}
	return fmt.Errorf("%s: %w", file.Name, err)
}

// line returns where a path of keys is, or the last key of it that is there; 0 where there is none.
func line(node *yaml.Node, path string) int {
	found := 0
	for _, key := range strings.Split(path, ".") {
		key, _, _ = strings.Cut(key, "[")
		at := index(node, key)
		if at < 0 {
			break
		}
		found = node.Content[at].Line
		node = node.Content[at+1]
	}
	return found
}

// index returns where a mapping has a key, whatever its case, as JSON is read; -1 where it has not.
func index(node *yaml.Node, key string) int {
	if node.Kind == yaml.MappingNode {
		for i := 0; i < len(node.Content); i += 2 {
			if strings.EqualFold(node.Content[i].Value, key) {
				return i
			}
		}
	}
	return -1
}

// over returns a node with another one over it.
func over(node, upper *yaml.Node) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode || upper.Kind != yaml.MappingNode {
		return upper
	}
	for i := 0; i < len(upper.Content); i += 2 {
		key, value := upper.Content[i], upper.Content[i+1]
		if at := index(node, key.Value); at >= 0 {
			node.Content[at] = key
			node.Content[at+1] = over(node.Content[at+1], value)
		} else {
			node.Content = append(node.Content, key, value)
		}
	}
	return node
}
