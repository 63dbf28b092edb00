"""Data that the lab comes with: host programs, the module's sources, the scenarios.

The last two are folders at the top of the repository. Here are links to them; the package that is
built of it has their contents in place of the links.
"""

from pathlib import Path

_HERE = Path(__file__).parent
_TOP = _HERE.resolve().parent.parent


def data_folder(name: str) -> Path:
    """A folder of data, "guest_module" or "scenarios": of the checkout, or of the package."""
    return (_HERE / name).resolve()


def data_file(name: str) -> Path:
    """A file of data."""
    return _HERE / name


def program() -> str:
    """What the lab is called by: a script of the checkout, or the program that was installed."""
    return script("lab") or "blksnap-lab"


def script(name: str) -> str | None:
    """What a script in ci/ is called by in the working folder; None where there is no checkout."""
    top = checkout()
    if top is None:
        return None
    return f"ci/{name}" if Path.cwd() == top else str(top / "ci" / name)


def checkout() -> Path | None:
    """The repository that this lab runs in; None where it was installed as a package."""
    return _TOP if (_HERE / "scenarios").is_symlink() else None
