"""Unit tests do not time things: a loaded machine makes any example slow."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
