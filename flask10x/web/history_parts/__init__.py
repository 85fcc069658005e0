"""Parts of the history page: the tables of a page's readings, and the conditions that are set."""
