"""A reading's way in: queue, batch, commit; and what was refused."""
