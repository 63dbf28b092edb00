"""The layout of the interface as the library in Python has it."""

from __future__ import annotations

import ctypes

from lab.agent.registry import Result, operation
from lab.blksnap import abi


@operation
def abi_layout() -> Result:
    """facts: {"size NAME" | "size NAME.MEMBER" | "offset NAME.MEMBER" | "request NAME": number}."""
    facts: dict[str, int] = {}
    for name, what in vars(abi).items():
        if name.startswith("IOCTL_"):
            facts[f"request {name}"] = what
        elif isinstance(what, type) and issubclass(what, ctypes.Structure):
            facts[f"size {name}"] = ctypes.sizeof(what)
            for member, *_ in what._fields_:
                place = getattr(what, str(member))
                facts[f"offset {name}.{member}"] = place.offset
                facts[f"size {name}.{member}"] = place.size
    return {"facts": facts}
