"""What the rules of alerts look at, and the thread that does."""
