// Package version says what this binary is. The build sets the variables.
package version

import (
	"encoding/json"
	"fmt"
	"runtime"
)

// Set with -ldflags -X.
var (
	GitVersion   = "v0.0.0-unset"
	GitCommit    = ""
	GitTreeState = ""
	BuildDate    = "1970-01-01T00:00:00Z"
	K8sVersion   = "v0.0.0-unset"
)

// Info is what `k8s version` prints.
type Info struct {
	GitVersion   string `json:"gitVersion"`
	GitCommit    string `json:"gitCommit"`
	GitTreeState string `json:"gitTreeState"`
	BuildDate    string `json:"buildDate"`
	K8sVersion   string `json:"kubernetesVersion"`
	GoVersion    string `json:"goVersion"`
	Platform     string `json:"platform"`
}

// Get returns this binary's Info.
func Get() Info {
	return Info{
		GitVersion: GitVersion, GitCommit: GitCommit, GitTreeState: GitTreeState, BuildDate: BuildDate,
		K8sVersion: K8sVersion, GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// Line is the version in one line.
func (i Info) Line() string {
	return fmt.Sprintf("k8s %s (Kubernetes %s, %s, %s)", i.GitVersion, i.K8sVersion, i.GoVersion, i.Platform)
}

// Format prints the version as "text" or "json".
func (i Info) Format(output string) (string, error) {
	switch output {
	case "", "text":
		return i.Line(), nil
	case "json":
		b, err := json.MarshalIndent(i, "", "  ")
		return string(b), err
	}
	return "", fmt.Errorf("--output=%s: must be text or json", output)
}
