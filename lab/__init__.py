"""A lab for the blksnap kernel module."""
