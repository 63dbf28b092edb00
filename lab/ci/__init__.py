"""Pipelines of continuous integration services, rendered from one template and the matrix."""
