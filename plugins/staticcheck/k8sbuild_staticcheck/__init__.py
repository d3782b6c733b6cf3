"""The Go linter staticcheck as one static program."""
