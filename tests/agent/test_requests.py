"""Whatever a request is, it is answered, and the agent lives on."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from lab.agent.processes import CommandFailed, need

from .conftest import Agent


def test_hello_echoes_its_nonce(agent: Agent) -> None:
    result = agent.ask("hello", nonce="abc")
    assert result["nonce"] == "abc"
    assert result["pid"] == agent.process.pid


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[1, 2]",
        b'"text"',
        b"{}",
        b'{"id": 1}',
        b'{"id": 1, "op": 7}',
        b'{"id": 1, "op": "hello", "args": []}',
        b'{"op": "hello"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_request_is_told_so(agent: Agent, line: bytes) -> None:
    agent.raw(line + b"\n")
    answer = agent.line()
    assert (answer["id"], answer["ok"], answer["error"]["kind"]) == (None, False, "usage")
    assert agent.ask("hello", nonce="here")["nonce"] == "here"


def test_an_empty_line_is_nothing(agent: Agent) -> None:
    agent.raw(b"\n\n")
    assert agent.ask("hello", nonce="here")["nonce"] == "here"


def test_an_unknown_operation_is_a_usage_error(agent: Agent) -> None:
    error = agent.fail("frobnicate")
    assert error["kind"] == "usage"
    assert "frobnicate" in error["message"]


def test_bad_arguments_are_usage_errors_that_name_them(agent: Agent) -> None:
    assert "missing argument path" in agent.fail("scan", sector=0, count=8)["message"]
    assert "unknown argument speed" in agent.fail("hello", speed=3)["message"]
    error = agent.fail("write", path="x", tag=1, writes=[[0, 8, 1], [8, "8", 2]])
    assert (error["kind"], error["errno"]) == ("usage", None)
    assert "writes[1][1] must be a whole number" in error["message"]


def test_errors_of_the_system_keep_their_errno(agent: Agent) -> None:
    error = agent.fail("read_file", path="/nonexistent")
    assert (error["kind"], error["errno"]) == ("os", errno.ENOENT)
    assert error["operation"] == "read_file"
    assert error["traceback"] is None


def test_errors_of_the_module_name_its_operation(agent: Agent) -> None:
    error = agent.fail("snapshot_collect")
    if error["errno"] not in (errno.ENOENT, errno.EACCES):
        pytest.skip("this machine has the module")
    assert error["operation"] == "open"
    assert error["kind"] == "os"


def test_a_bad_id_or_device_is_a_usage_error(agent: Agent) -> None:
    assert agent.fail("load_poll", name="none")["kind"] == "usage"
    assert agent.fail("stack_remove", name="none")["kind"] == "usage"
    assert agent.fail("stack_resize", name="none", size=512)["kind"] == "usage"
    assert agent.fail("load_start", name="n", kind="none")["kind"] == "usage"
    assert agent.fail("stack_create", name="n", kind="none")["kind"] == "usage"


def test_a_waiting_request_does_not_hold_up_others(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "sign"
    numbers = [agent.send("wait_path", path=str(path), timeout=30) for _ in range(40)]
    assert agent.ask("hello", nonce="here")["nonce"] == "here"
    assert agent.ask("exec", argv=["true"])["status"] == 0
    path.touch()
    assert all(agent.answer(number)["ok"] for number in numbers)


def test_waiting_ends_with_its_limit(agent: Agent, tmp_path: Path) -> None:
    error = agent.fail("wait_path", path=str(tmp_path / "never"), timeout=0.01)
    assert error["errno"] == errno.ETIMEDOUT
    assert agent.fail("wait_path", path=str(tmp_path), timeout=0.01, gone=True)["errno"] == 110


def test_programs_are_run_with_input_environment_and_status(agent: Agent) -> None:
    result = agent.ask(
        "exec", argv=["sh", "-c", 'cat; echo "$WORD" >&2; exit 5'], input="in", env={"WORD": "w"}
    )
    assert result == {"status": 5, "stdout": "in", "stderr": "w\n", "truncated": False}


def test_a_program_that_takes_too_long_is_killed_with_its_children(
    agent: Agent, tmp_path: Path
) -> None:
    sign = tmp_path / "sign"
    argv = ["sh", "-c", f"(sleep 2; touch {sign}) & sleep 100"]
    assert agent.fail("exec", argv=argv, timeout=0.2)["errno"] == errno.ETIMEDOUT
    time.sleep(2.5)
    assert not sign.exists()


def test_a_missing_program_is_an_error_of_the_system(agent: Agent) -> None:
    assert agent.fail("exec", argv=["/nonexistent"])["errno"] == errno.ENOENT
    assert agent.fail("exec", argv=[])["kind"] == "usage"


def test_long_output_is_cut_and_said_to_be(agent: Agent) -> None:
    result = agent.ask("exec", argv=["sh", "-c", "yes | head -c 3000000"])
    assert result["truncated"]
    assert len(result["stdout"]) == 96 << 10


def test_a_program_left_in_the_background_does_not_hold_up_the_answer(agent: Agent) -> None:
    result = agent.ask("exec", argv=["sh", "-c", "sleep 30 & echo done; echo $!"], timeout=20)
    done, pid = result["stdout"].split()
    agent.ask("exec", argv=["kill", pid])
    assert done == "done"


def test_spawned_programs_are_reaped_by_name(agent: Agent) -> None:
    agent.ask("spawn", name="p", argv=["sh", "-c", "echo out; sleep 60"])
    assert agent.fail("spawn", name="p", argv=["true"])["kind"] == "usage"
    assert agent.fail("reap", name="p", timeout=0.05)["errno"] == errno.ETIMEDOUT
    assert agent.ask("reap", name="p", kill=True)["status"] == -9
    agent.ask("spawn", name="p", argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert agent.ask("reap", name="p") == {"status": 3, "stdout": "out\n", "stderr": "err\n"}


def test_files_of_known_content_are_checked(agent: Agent, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    given = {"folder": str(folder), "count": 4, "size": 10_000, "seed": 7}
    agent.ask("files_write", **given)
    assert agent.ask("files_check", **given) == {"bad": [], "checked": 4}
    assert agent.ask("files_check", **{**given, "seed": 8})["bad"][0][0] == "f000000"
    with (folder / "f000001").open("r+b") as file:
        file.seek(5000)
        file.write(b"!")
    with (folder / "f000002").open("ab") as file:
        file.write(b"!")
    (folder / "f000003").unlink()
    (folder / "extra").touch()
    assert agent.ask("files_check", **given)["bad"] == [
        ["extra", "should not be there"],
        ["f000001", "differs in the block at byte 4096"],
        ["f000002", "is too long"],
        ["f000003", "cannot be read: No such file or directory"],
    ]


def test_text_files_are_written_and_read(agent: Agent, tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "file")
    agent.ask("write_file", path=path, text="héllo\n")
    assert agent.ask("read_file", path=path)["text"] == "héllo\n"
    assert agent.ask("read_file", path=path, limit=1)["text"] == "h"


def test_figures_of_the_system_are_numbers(agent: Agent) -> None:
    assert agent.ask("sysinfo")["mem"]["MemTotal"] > 1 << 20


def test_the_agent_ends_when_the_host_hangs_up_for_good() -> None:
    running = Agent()
    running.send("exec", argv=["sleep", "1"])
    running.ask("hello")
    running.close()
    assert running.process.returncode == 0


def test_what_a_program_says_again_and_again_is_told_once() -> None:
    script = "for n in 1 2 3; do echo busy >&2; done; echo gave up >&2; exit 1"
    with pytest.raises(CommandFailed, match=r"status 1: busy\ngave up$"):
        need(["sh", "-c", script])
