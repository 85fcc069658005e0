"""`flask10x alerts`: the file of alerts, made and looked over; messages tried and sent."""
