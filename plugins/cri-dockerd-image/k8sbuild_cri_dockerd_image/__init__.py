"""A container image in which systemd runs a container runtime and a standalone kubelet."""
