"""The page of the devices: how each station sends, and a program for a board that does it well."""
