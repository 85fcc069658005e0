"""The home of the house at `/`: a tile for each station, for people who pass by."""
