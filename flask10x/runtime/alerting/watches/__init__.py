"""The watches: each kind of rule is a class that looks at readings, gauges or files."""
