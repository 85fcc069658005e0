"""What is kept of removed readings."""
