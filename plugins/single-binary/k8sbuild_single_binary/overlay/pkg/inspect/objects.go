package inspect

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// The fields of objects that the overviews have. Nothing else is read: a pod's
// environment and annotations are its owner's.

type meta struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Created   time.Time `json:"creationTimestamp"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type node struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		PodCIDR       string                         `json:"podCIDR"`
		Unschedulable bool                           `json:"unschedulable"`
		Taints        []struct{ Key, Effect string } `json:"taints"`
	} `json:"spec"`
	Status struct {
		Conditions []condition       `json:"conditions"`
		Capacity   map[string]string `json:"capacity"`
		Addresses  []struct{ Type, Address string }
		NodeInfo   struct{ KernelVersion, OSImage, ContainerRuntimeVersion, KubeletVersion string }
	} `json:"status"`
}

func (s server) nodes(ctx context.Context) (string, error) {
	var list struct{ Items []node }
	if err := s.get(ctx, "/api/v1/nodes", &list); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, n := range list.Items {
		info := n.Status.NodeInfo
		fmt.Fprintf(&out, "%s created %s, kubelet %s, %s, Linux %s, %s\n", n.Metadata.Name, n.Metadata.Created.Format(time.RFC3339),
			info.KubeletVersion, info.ContainerRuntimeVersion, info.KernelVersion, info.OSImage)
		fmt.Fprintf(&out, "  pods from %s, addresses %v, capacity %v, taints %v, unschedulable %t\n",
			n.Spec.PodCIDR, n.Status.Addresses, n.Status.Capacity, n.Spec.Taints, n.Spec.Unschedulable)
		for _, c := range n.Status.Conditions {
			fmt.Fprintf(&out, "  %s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
		}
	}
	return out.String(), nil
}

type container struct {
	Name         string
	Image        string
	Ready        bool
	RestartCount int
	State        struct{ Waiting, Terminated *struct{ Reason string } }
}

type pod struct {
	Metadata meta
	Spec     struct{ NodeName string }
	Status   struct {
		Phase, Reason, PodIP string
		ContainerStatuses    []container
	}
}

func (s server) pods(ctx context.Context) (string, error) {
	var list struct{ Items []pod }
	if err := s.get(ctx, "/api/v1/pods", &list); err != nil {
		return "", err
	}
	rows := [][]string{{"NAMESPACE", "NAME", "PHASE", "NODE", "IP", "CONTAINERS"}}
	for _, p := range list.Items {
		var containers []string
		for _, c := range p.Status.ContainerStatuses {
			containers = append(containers, c.line())
		}
		rows = append(rows, []string{
			p.Metadata.Namespace, p.Metadata.Name, strings.TrimSpace(p.Status.Phase + " " + p.Status.Reason), p.Spec.NodeName, p.Status.PodIP,
			strings.Join(containers, "; "),
		})
	}
	return table(rows), nil
}

func (c container) line() string {
	state := "ready"
	switch {
	case c.State.Waiting != nil:
		state = c.State.Waiting.Reason
	case c.State.Terminated != nil:
		state = c.State.Terminated.Reason
	case !c.Ready:
		state = "not ready"
	}
	return fmt.Sprintf("%s (%s): %s, %d restarts", c.Name, c.Image, state, c.RestartCount)
}

func (s server) events(ctx context.Context) (string, error) {
	var list struct {
		Items []struct {
			InvolvedObject                struct{ Kind, Namespace, Name string }
			Type, Reason, Message         string
			FirstTimestamp, LastTimestamp time.Time
			EventTime                     time.Time
			Count                         int
		}
	}
	if err := s.get(ctx, "/api/v1/events", &list); err != nil {
		return "", err
	}
	rows := [][]string{{"LAST", "COUNT", "TYPE", "REASON", "OBJECT", "MESSAGE"}}
	for _, e := range list.Items {
		last := e.LastTimestamp
		if last.IsZero() {
			last = e.EventTime
		}
		object := e.InvolvedObject
		rows = append(rows, []string{
			last.Format(time.RFC3339), fmt.Sprint(cmp.Or(e.Count, 1)), e.Type, e.Reason,
			fmt.Sprintf("%s %s/%s", object.Kind, object.Namespace, object.Name), strings.ReplaceAll(e.Message, "\n", " "),
		})
	}
	return table(rows), nil
}

// secrets are the values of all Secrets, to be taken out wherever they are: an
// application may have written one to its log.
func (s server) secrets(ctx context.Context) (values []string, err error) {
	var list struct {
		Items []struct{ Data map[string]string }
	}
	if err := s.get(ctx, "/api/v1/secrets", &list); err != nil {
		return nil, err
	}
	for _, secret := range list.Items {
		for key, encoded := range secret.Data {
			// What every token's Secret has and all know.
			if key == "namespace" || key == "ca.crt" {
				continue
			}
			if value, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				values = append(values, string(value))
			}
		}
	}
	return values, nil
}
