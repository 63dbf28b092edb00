"""Errors of the lab: what went wrong, and what the user can do about it.

    LabError
     ├─ UsageError        bad options or a bad scenario                exit status 2
     ├─ EnvironmentLack   this machine lacks something                 exit status 3
     └─ (subclasses in their own modules: CommandFailed, GuestLost, ...)   exit status 4

Runs in guests too (Python 3.9, standard library only).
"""

from __future__ import annotations


class LabError(Exception):
    """Something went wrong: `what` happened, and the `remedy`, if one is known."""

    def __init__(self, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  remedy: {self.remedy}" if self.remedy else self.what


class UsageError(LabError):
    """The user asked for something that cannot be: a bad option or a bad scenario."""


class EnvironmentLack(LabError):  # noqa: N818 - it says what is the matter
    """This machine lacks a program, a library or a right; `remedy` is the command that mends it."""
