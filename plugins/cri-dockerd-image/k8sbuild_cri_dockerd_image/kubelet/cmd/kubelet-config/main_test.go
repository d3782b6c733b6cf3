package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCommands(t *testing.T) {
	config := write(t, "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\naddress: 127.0.0.1\n"+
		"authentication: {webhook: {enabled: false}}\nauthorization: {mode: AlwaysAllow}\n")
	pod := write(t, "apiVersion: v1\nkind: Pod\nspec:\n  containers: [{name: a, image: i}]\n")
	for name, test := range map[string]struct {
		args []string
		out  string
		said string
	}{
		"merge":           {[]string{"merge", config}, "kind: KubeletConfiguration", ""},
		"merge two":       {[]string{"merge", config, config}, "kind: KubeletConfiguration", ""},
		"merge, wrong":    {[]string{"merge", pod}, "", "file.yaml"},
		"merge nothing":   {[]string{"merge"}, "", "got 0 files"},
		"merge an option": {[]string{"merge", "-x"}, "", "not defined"},
		"merge no file":   {[]string{"merge", "/nowhere"}, "", "no such file"},
		"pod":             {[]string{"pod", pod}, "i\n", ""},
		"pod, wrong":      {[]string{"pod", config}, "", "file.yaml"},
		"pods":            {[]string{"pod", pod, pod}, "", "got 2"},
		"pod no file":     {[]string{"pod", "/nowhere"}, "", "no such file"},
		"nothing":         {nil, "", "usage"},
		"another":         {[]string{"x"}, "", "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := run(test.args, &out)
			if test.said == "" && (err != nil || !strings.Contains(out.String(), test.out)) {
				t.Fatalf("out %q, error %v", out.String(), err)
			}
			if test.said != "" && (err == nil || !strings.Contains(err.Error(), test.said)) {
				t.Fatalf("want %q, got %v", test.said, err)
			}
		})
	}
}
