# SPDX-License-Identifier: MIT
"""python3 -m lab.blksnap: see cli.py."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
