"""Network policies of the node of ``k8s``: kube-network-policies in the server's process."""
