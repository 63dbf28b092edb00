# SPDX-License-Identifier: MIT
"""The names of nodes and disks: those of the header, or of another build of the module.

Another build's are in a file names.json beside this one, read at import: an object with some of the
fields of Names, e.g. {"node": "/dev/acmesnap", "image": "acmesnap-image"}.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from . import abi

_FILE = Path(__file__).with_name("names.json")


@dataclass(frozen=True)
class Names:
    """node: path of the control node. image: what the names of image disks begin with.

    debugfs: the module's folder there.
    """

    node: str = abi.BLK_SNAP_CTL
    image: str = abi.BLK_SNAP_IMAGE_NAME
    debugfs: str = abi.BLK_SNAP_MODULE_NAME


def _load() -> Names:
    if not _FILE.exists():
        return Names()
    return Names(**json.loads(_FILE.read_text(encoding="ascii")))


NAMES = _load()
