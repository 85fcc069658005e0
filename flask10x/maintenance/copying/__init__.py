"""From one database into another, whichever engine they are on, and the comparison of two."""
