"""raw_ioctl: memory of every kind behind a request, on a file's FIONREAD."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Agent

FIONREAD = 0x541B  # writes an int: the bytes left to read
SIZE = (4 << 20).to_bytes(4, "little").hex()


def ask(agent: Agent, disk: Path, **args: Any) -> Any:
    return agent.ask("raw_ioctl", request=FIONREAD, node=str(disk), **args)


def fail(agent: Agent, disk: Path, **args: Any) -> Any:
    return agent.fail("raw_ioctl", request=FIONREAD, node=str(disk), **args)


def test_the_kernel_fills_in_the_argument(agent: Agent, disk: Path) -> None:
    assert ask(agent, disk, size=4) == {"ret": 0, "hex": SIZE, "buffers": []}
    assert ask(agent, disk, hex="ffffffffff")["hex"] == SIZE + "ff"


@pytest.mark.parametrize("guard", ["read_only", "unmapped"])
def test_memory_that_cannot_be_written_is_a_bad_address(
    agent: Agent, disk: Path, guard: str
) -> None:
    assert fail(agent, disk, size=4, guard=guard)["errno"] == errno.EFAULT


def test_memory_may_end_at_the_edge(agent: Agent, disk: Path) -> None:
    assert ask(agent, disk, size=4, guard="edge")["hex"] == SIZE
    assert fail(agent, disk, size=3, guard="edge")["errno"] == errno.EFAULT


@pytest.mark.parametrize("address", [0, 8, 2**63, 2**64 - 1])
def test_any_number_can_be_the_address(agent: Agent, disk: Path, address: int) -> None:
    assert fail(agent, disk, address=address)["errno"] == errno.EFAULT


def test_addresses_of_more_memory_are_stored_in_the_argument(agent: Agent, disk: Path) -> None:
    buffers = [{"at": 8, "size": 2, "fill": 0xAB}, {"at": 16, "hex": "0102", "guard": "edge"}]
    answer = ask(agent, disk, size=24, buffers=buffers)
    assert answer["buffers"] == ["abab", "0102"]
    argument = bytes.fromhex(answer["hex"])
    assert argument[:4].hex() == SIZE
    assert all(int.from_bytes(argument[at : at + 8], "little") for at in (8, 16))


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"size": 4, "hex": "00"},
        {"hex": "0"},
        {"size": -1},
        {"size": 1 << 30},
        {"size": 8, "buffers": [{"at": 1, "size": 1}]},
        {"size": 8, "buffers": [{"size": 1}]},
        {"size": 8, "buffers": [{"at": 0}]},
        {"size": 8, "guard": "glass"},
    ],
)
def test_memory_that_makes_no_sense_is_a_usage_error(
    agent: Agent, disk: Path, args: dict[str, Any]
) -> None:
    assert fail(agent, disk, **args)["kind"] == "usage"


def test_another_user_is_that_user_for_one_call_only(agent: Agent, disk: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("changing the user needs root")
    # A file's immutable flag (FS_IOC_SETFLAGS) can be changed by its owner only.
    given = {"request": 0x40086602, "size": 8, "node": str(disk)}
    answer = agent.answer(agent.send("raw_ioctl", **given))
    if not answer["ok"]:
        pytest.skip(f"no file flags on this file system: {answer['error']['message']}")
    assert agent.fail("raw_ioctl", **given, euid=65534)["errno"] in (errno.EACCES, errno.EPERM)
    for _ in range(20):
        assert agent.ask("raw_ioctl", **given)["ret"] == 0
