"""The root file system's builder goes with its lab, all of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

# As mmdebstrap does it: the first process waits for the others, whatever it is told.
BUILDER = """#!{python}
import os, signal, sys, time

def tell(text):
    with open({told!r}, "a") as file:
        file.write(text)

def clean(*_):
    tell("cleaned ")
    sys.exit()

if os.fork():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.wait()
else:
    signal.signal(signal.SIGTERM, clean)
    tell("begun ")
    time.sleep(60)
"""
LAB = """
import os, sys
from pathlib import Path
from lab.image import Recipe
from lab.image.rootfs import make_root_archive
os.geteuid = lambda: 0
make_root_archive(Recipe(), Path("archive.tar"), print)
"""


def test_all_of_a_builder_is_asked_to_end_when_its_lab_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "told"
    builder = tmp_path / "mmdebstrap"
    builder.write_text(BUILDER.format(python=sys.executable, told=str(told)))
    builder.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, "-c", LAB], env=environment, cwd=tmp_path) as process:
        await_text(told, "begun ")
        process.kill()
    await_text(told, "begun cleaned ")


def await_text(path: Path, text: str) -> None:
    end = time.monotonic() + 20
    while (found := path.read_text() if path.exists() else "") != text:
        assert time.monotonic() < end, found
        time.sleep(0.05)
