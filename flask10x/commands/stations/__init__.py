"""`flask10x stations`: the file of stations, made, checked and added to."""
