package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	cri "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
)

// logDirs are where the kubelet has the containers' logs, and links to them.
var logDirs = []string{"/var/log/pods", "/var/log/containers"}

// groups are the control groups of all pods, by the names that the kubelet
// gives them in its two ways.
var groups = []string{"kubepods", "kubepods.slice"}

// clean removes what a kubelet leaves: pods in the user's own container
// runtime, volumes, control groups and logs.
func clean(ctx context.Context, cfg *config.Config) error {
	if err := removePods(ctx, cfg.ContainerRuntimeEndpoint); err != nil {
		return err
	}
	if _, err := cleanup.UnmountBelow(cfg.KubeletRoot()); err != nil {
		return err
	}
	if err := stopSlice(ctx, "/run/systemd/system"); err != nil {
		return err
	}
	_, err := cleanup.RemoveCgroups("/sys/fs/cgroup", groups...)
	for _, dir := range append(logDirs, cfg.KubeletRoot()) {
		err = errors.Join(err, cleanup.RemoveTree(dir))
	}
	return err
}

// stopSlice has systemd forget the pods' slices, which are its own where it
// rules the control groups.
func stopSlice(ctx context.Context, runs string) error {
	if _, err := os.Stat(runs); err != nil {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "systemctl", "stop", "kubepods.slice").CombinedOutput(); err != nil {
		return fmt.Errorf("stop kubepods.slice: %w: %s", err, out)
	}
	return nil
}

// removePods removes the pods of a container runtime that runs by itself; ours
// has a cleanup of its own.
func removePods(ctx context.Context, endpoint string) error {
	if endpoint == "" {
		return nil
	}
	logger := klog.FromContext(ctx)
	runtime, err := cri.NewRemoteRuntimeService(endpoint, runtimeAnswers, nil, &logger)
	if err != nil {
		return fmt.Errorf("no answer from the container runtime at %s: %w", endpoint, err)
	}
	return removeSandboxes(ctx, runtime)
}

func removeSandboxes(ctx context.Context, runtime criapi.RuntimeService) error {
	pods, err := runtime.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for _, pod := range pods {
		if err := runtime.StopPodSandbox(ctx, pod.Id); err != nil {
			return fmt.Errorf("stop pod %s/%s: %w", pod.Metadata.Namespace, pod.Metadata.Name, err)
		}
		if err := runtime.RemovePodSandbox(ctx, pod.Id); err != nil {
			return fmt.Errorf("remove pod %s/%s: %w", pod.Metadata.Namespace, pod.Metadata.Name, err)
		}
	}
	return nil
}
