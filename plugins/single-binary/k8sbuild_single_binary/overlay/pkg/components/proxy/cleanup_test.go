package proxy

import "testing"

func TestChainsOfTheNode(t *testing.T) {
	for name, is := range map[string]bool{"KUBE-SERVICES": true, "KUBE-KUBELET-CANARY": true, "DOCKER": false, "MY-KUBE-": false} {
		if isChain(name) != is {
			t.Errorf("%s: %t", name, !is)
		}
	}
}
