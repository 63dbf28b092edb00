"""What people and programs see of a run: listeners to its events, pages, and comparisons."""
