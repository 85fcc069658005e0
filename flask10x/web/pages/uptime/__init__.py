"""The page `/uptime`: which share of the expected readings each station has sent."""
