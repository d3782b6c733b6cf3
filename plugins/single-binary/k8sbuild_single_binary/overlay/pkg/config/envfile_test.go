package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestEnvFileIsReadAsSystemdDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k8s")
	text := "# K8S_V=1\n; K8S_V=2\n\n K8S_DATA_DIR = \"/with space\"\nK8S_NODE_NAME='n'\nnonsense\nK8S_NODE_LABEL=a=b,\\\nc=d\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEnvFile(path)
	if err != nil || !slices.Equal(got, []string{"K8S_DATA_DIR=/with space", "K8S_NODE_NAME=n", "K8S_NODE_LABEL=a=b,c=d"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := ReadEnvFile(path + "-none"); len(got) > 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := ReadEnvFile(filepath.Dir(path)); err == nil {
		t.Error("no error for a folder")
	}
}

func TestKubeletRoot(t *testing.T) {
	c := Default()
	if got := c.KubeletRoot(); got != "/var/lib/kubelet" {
		t.Errorf("got %s", got)
	}
	c.ExtraArgs["kubelet"] = []string{"max-pods=20", "root-dir=/k"}
	if got := c.KubeletRoot(); got != "/k" {
		t.Errorf("got %s", got)
	}
}
