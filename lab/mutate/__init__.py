"""Mutants: the module broken on purpose, in one place each, to see which scenarios notice."""
