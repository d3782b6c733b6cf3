"""The pods' network of a node: a bridge, routes to other nodes, and the way out."""
