"""What rules look at, and the thread that does."""
