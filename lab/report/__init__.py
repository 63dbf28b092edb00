"""Listeners that turn the events of a run into reports."""
