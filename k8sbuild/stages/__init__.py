"""The run functions that the kinds are lowered to, and functions that plugins' steps may name."""
