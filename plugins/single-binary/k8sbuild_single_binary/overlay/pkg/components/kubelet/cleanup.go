package kubelet

import (
	"context"
	"errors"
	"fmt"

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
	// Where systemd rules the control groups, the pods' are its own.
	if err := cleanup.Systemctl(ctx, "stop", "kubepods.slice"); err != nil {
		return err
	}
	_, err := cleanup.RemoveCgroups("/sys/fs/cgroup", groups...)
	for _, dir := range append(logDirs, cfg.KubeletRoot()) {
		err = errors.Join(err, cleanup.RemoveTree(dir))
	}
	return err
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
