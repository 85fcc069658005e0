"""What `/history/series` tells beside the lines: bands, nights, compared lines."""
