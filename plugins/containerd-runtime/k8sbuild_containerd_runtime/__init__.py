"""containerd, its shim, runc and CNI plugins, each from its own Go module."""
