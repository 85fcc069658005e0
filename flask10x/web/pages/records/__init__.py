"""The page `/records`: tables of a month, a year and all years, and the records."""
