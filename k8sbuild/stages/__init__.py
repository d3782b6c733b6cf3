"""The run functions that the kinds are lowered to, one module a stage."""
