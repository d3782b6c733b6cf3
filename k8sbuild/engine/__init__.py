"""The engine: lowers what plugins describe to steps, plans them, runs them, remembers why."""
