"""A follower for each CSV file, exactly once."""
