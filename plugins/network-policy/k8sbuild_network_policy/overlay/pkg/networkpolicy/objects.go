package networkpolicy

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unfinished leaves out pods that have ended: their addresses may be others' by
// now.
func unfinished(o *metav1.ListOptions) {
	o.FieldSelector = "status.phase!=" + string(corev1.PodSucceeded) + ",status.phase!=" + string(corev1.PodFailed)
}

// slim keeps of the cluster's objects what policies are about.
func slim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return slimPod(o), nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: slimMeta(o.ObjectMeta)}, nil
	case *networkingv1.NetworkPolicy:
		return &networkingv1.NetworkPolicy{ObjectMeta: slimMeta(o.ObjectMeta), Spec: o.Spec}, nil
	}
	return object, nil
}

func slimMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, ResourceVersion: m.ResourceVersion, Labels: m.Labels}
}

// slimPod leaves out the addresses of a pod that has none of its own: the whole
// node would be judged by what selects it.
func slimPod(pod *corev1.Pod) *corev1.Pod {
	var containers []corev1.Container
	for _, c := range pod.Spec.Containers {
		if len(c.Ports) > 0 {
			containers = append(containers, corev1.Container{Ports: c.Ports})
		}
	}
	status := corev1.PodStatus{Phase: pod.Status.Phase}
	if !pod.Spec.HostNetwork {
		status.PodIPs = pod.Status.PodIPs
	}
	return &corev1.Pod{
		ObjectMeta: slimMeta(pod.ObjectMeta),
		Spec:       corev1.PodSpec{NodeName: pod.Spec.NodeName, HostNetwork: pod.Spec.HostNetwork, Containers: containers},
		Status:     status,
	}
}
