"""Compares all copies of the readings, says which is wrong, and puts the right value back."""
