// Package kubeconfig writes kubeconfig files. It imports no Kubernetes package.
package kubeconfig

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8sbuild.dev/distribution/pkg/durable"
)

// Client is what a kubeconfig says: which server, how to know it, and as whom.
// The files are referred to by path, so that renewed certificates are picked up.
type Client struct {
	Server   string
	CAFile   string
	CertFile string
	KeyFile  string
}

type object = map[string]any

// Write writes the kubeconfig to path.
func (c Client) Write(path string) error {
	return write(path, 0o600, c.document(
		object{"certificate-authority": c.CAFile, "server": c.Server},
		object{"client-certificate": c.CertFile, "client-key": c.KeyFile}))
}

// WriteEmbedded writes the kubeconfig with the files' content, for use on
// another machine.
func (c Client) WriteEmbedded(path string, mode fs.FileMode) error {
	var data [3]string
	for i, file := range []string{c.CAFile, c.CertFile, c.KeyFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		data[i] = base64.StdEncoding.EncodeToString(b)
	}
	return write(path, mode, c.document(
		object{"certificate-authority-data": data[0], "server": c.Server},
		object{"client-certificate-data": data[1], "client-key-data": data[2]}))
}

func (c Client) document(cluster, user object) object {
	return object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"clusters":        []object{{"name": "default", "cluster": cluster}},
		"users":           []object{{"name": "default", "user": user}},
		"contexts":        []object{{"name": "default", "context": object{"cluster": "default", "user": "default"}}},
		"current-context": "default",
	}
}

// write writes JSON, which every YAML reader reads.
func write(path string, mode fs.FileMode, document object) error {
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	data = append(data, '\n')
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, data) {
		return os.Chmod(path, mode)
	}
	return durable.Write(path, data, mode)
}
