package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	cri "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/host"
)

// runtimeAnswers bounds the wait for a container runtime.
const runtimeAnswers = 10 * time.Second

// The values of the kubelet's setting.
const (
	systemd  = "systemd"
	cgroupfs = "cgroupfs"
)

// cgroupDriver asks the container runtime who makes control groups: both must
// agree. Newer runtimes are asked again by upstream, in a way that older ones
// do not know; those tell it in their description.
func cgroupDriver(ctx context.Context, endpoint string) (string, error) {
	logger := klog.FromContext(ctx)
	runtime, err := cri.NewRemoteRuntimeService(endpoint, runtimeAnswers, nil, &logger)
	if err != nil {
		return "", fmt.Errorf("no answer from the container runtime at %s: %w", endpoint, err)
	}
	ctx, cancel := context.WithTimeout(ctx, runtimeAnswers)
	defer cancel()
	status, err := runtime.Status(ctx, true)
	if err != nil {
		return "", fmt.Errorf("no answer from the container runtime at %s: %w", endpoint, err)
	}
	driver := described(status.GetInfo()["config"])
	if driver == "" {
		driver = usual(host.MachineCgroups().Unified(), "/run/systemd/system")
	}
	klog.InfoS("Container runtime answers", "endpoint", endpoint, "cgroupDriver", driver)
	return driver, nil
}

// described reads containerd's description of its configuration.
func described(text string) string {
	var d struct {
		Containerd struct {
			DefaultRuntimeName string `json:"defaultRuntimeName"`
			Runtimes           map[string]struct {
				Options map[string]any `json:"options"`
			} `json:"runtimes"`
		} `json:"containerd"`
	}
	if json.Unmarshal([]byte(text), &d) != nil {
		return ""
	}
	used, ok := d.Containerd.Runtimes[d.Containerd.DefaultRuntimeName]
	switch is, _ := used.Options["SystemdCgroup"].(bool); {
	case !ok:
		return ""
	case is:
		return systemd
	}
	return cgroupfs
}

// usual is what runtimes do that say nothing: systemd where it rules one tree.
func usual(unified bool, runs string) string {
	if _, err := os.Stat(runs); err == nil && unified {
		return systemd
	}
	return cgroupfs
}
