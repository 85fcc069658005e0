"""The page of the status: how it is going, in people's words, and what to do about each trouble."""
