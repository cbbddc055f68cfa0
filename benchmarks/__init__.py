"""What the keeper costs and how fast it is, measured: `make bench`."""
