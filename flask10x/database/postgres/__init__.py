"""What only PostgreSQL knows."""
