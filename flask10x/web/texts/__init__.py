"""What pages say, in English and Japanese."""
