"""Measurements: how fast the module is, and how fast clones are."""
