package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ReadEnvFile reads an environment file as systemd does, in the form of
// os.Environ. One that is not there has none.
func ReadEnvFile(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	var environ []string
	// A backslash at its end goes on with a line.
	joined := strings.ReplaceAll(string(text), "\\\n", "")
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || strings.ContainsAny(line[:1], "#;") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found {
			continue // as systemd does, with a line in its log
		}
		environ = append(environ, strings.TrimSpace(name)+"="+unquote(strings.TrimSpace(value)))
	}
	return environ, nil
}

func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}
