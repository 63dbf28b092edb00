"""Data files of the lab."""
