"""What senders of other services post, as items of a batch."""
