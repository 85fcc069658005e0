"""What senders post: the routes that take readings, and what becomes of a body."""
