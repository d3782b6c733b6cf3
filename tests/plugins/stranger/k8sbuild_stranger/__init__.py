"""What somebody else adds to the tiny distribution."""
