"""The DNS of a cluster: CoreDNS as a small image, and what runs it."""
