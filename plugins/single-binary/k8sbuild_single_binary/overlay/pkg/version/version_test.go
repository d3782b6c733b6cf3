package version

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	info := Info{GitVersion: "v1.2.3+mine", K8sVersion: "v1.2.3", GoVersion: "go1", Platform: "linux/amd64"}
	line, err := info.Format("")
	if err != nil || line != "k8s v1.2.3+mine (Kubernetes v1.2.3, go1, linux/amd64)" {
		t.Errorf("got %q, %v", line, err)
	}
	text, err := info.Format("json")
	var back Info
	if err != nil || json.Unmarshal([]byte(text), &back) != nil || back != info {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := info.Format("yaml"); err == nil || !strings.Contains(err.Error(), "--output=yaml: must be text or json") {
		t.Errorf("got %v", err)
	}
}

func TestGet(t *testing.T) {
	if i := Get(); i.GitVersion != GitVersion || !strings.Contains(i.Platform, "/") {
		t.Errorf("got %+v", i)
	}
}
