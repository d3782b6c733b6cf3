package cleanup

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSystemdIsAskedWhereItRuns(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "systemctl")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if err := systemctl(t.Context(), filepath.Join(dir, "none"), "stop", "a.slice"); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	for code, want := range map[string]string{"0": "", "3": "systemctl stop a.slice: exit status 3: no"} {
		script := "#!/bin/sh\necho \"$@\" >" + dir + "/said\necho no >&2\nexit " + code + "\n"
		if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := systemctl(t.Context(), dir, "stop", "a.slice"); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("exit code %s: %v", code, err)
		}
	}
	if said, err := os.ReadFile(filepath.Join(dir, "said")); err != nil || string(said) != "stop a.slice\n" {
		t.Errorf("said %q, %v", said, err)
	}
}
