"""raw_ioctl: any number or bytes behind a request, on a file's FIONREAD; by any user."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Agent

FIONREAD = 0x541B  # writes an int: the bytes left to read


def fail(agent: Agent, disk: Path, **args: Any) -> Any:
    return agent.fail("raw_ioctl", request=FIONREAD, node=str(disk), **args)


def test_the_kernel_writes_into_the_argument_whatever_its_size(agent: Agent, disk: Path) -> None:
    for text in ("00" * 4, "00", ""):
        assert agent.ask("raw_ioctl", request=FIONREAD, node=str(disk), hex=text) == {"ret": 0}


@pytest.mark.parametrize("address", [0, 8, 2**63, 2**64 - 1])
def test_any_number_can_be_the_address(agent: Agent, disk: Path, address: int) -> None:
    assert fail(agent, disk, address=address)["errno"] == errno.EFAULT


@pytest.mark.parametrize("args", [{}, {"address": 4, "hex": "00"}, {"hex": "0"}])
def test_an_argument_that_makes_no_sense_is_a_usage_error(
    agent: Agent, disk: Path, args: dict[str, Any]
) -> None:
    assert fail(agent, disk, **args)["kind"] == "usage"


def test_another_user_is_that_user_for_one_call_only(agent: Agent, disk: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("changing the user needs root")
    # A file's immutable flag (FS_IOC_SETFLAGS) can be changed by its owner only.
    given = {"request": 0x40086602, "hex": "00" * 8, "node": str(disk)}
    answer = agent.answer(agent.send("raw_ioctl", **given))
    if not answer["ok"]:
        pytest.skip(f"no file flags on this file system: {answer['error']['message']}")
    assert agent.fail("raw_ioctl", **given, euid=65534)["errno"] in (errno.EACCES, errno.EPERM)
    for _ in range(20):
        assert agent.ask("raw_ioctl", **given)["ret"] == 0
