"""The programs that measured the figures in the documents; `bench/` is `make bench`."""
