"""A complete distribution of the fake upstream."""
