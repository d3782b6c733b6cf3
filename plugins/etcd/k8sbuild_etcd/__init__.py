"""etcd as one static program."""
