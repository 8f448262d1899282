"""What a program costs at least and at worst, found without running it."""
