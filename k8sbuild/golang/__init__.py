"""The ``go`` client, module lists and module zips."""
