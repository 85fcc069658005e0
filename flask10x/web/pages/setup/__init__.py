"""The page `/setup`: each setting, its value, where that is from, and what it does."""
