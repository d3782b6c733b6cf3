"""What the build proves of the binary: apart from what makes it, whose edits would run the same proof again."""
