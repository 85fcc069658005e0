"""The page `/history/rejected`: what was rejected, and why."""
