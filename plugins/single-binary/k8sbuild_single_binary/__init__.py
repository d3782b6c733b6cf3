"""The distribution: a Kubernetes server in one static binary."""
