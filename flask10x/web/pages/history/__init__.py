"""The page `/history`: cards, a filter, charts and a table for each station."""
