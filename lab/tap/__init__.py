"""Disks behind a server of our own, which tells of each I/O and can make a chosen one fail."""
