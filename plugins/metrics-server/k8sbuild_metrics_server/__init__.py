"""Use of processor and memory by nodes and pods: metrics-server as a small image, and what runs it."""
