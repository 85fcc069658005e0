"""The page `/notes`: notes, what is hidden or adjusted, and the forms that write and undo them."""
