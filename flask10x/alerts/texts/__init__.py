"""What messages say, in English and Japanese, for people who have never seen a log."""
