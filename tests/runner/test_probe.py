"""How the lines of the client in C are judged, and what its seed is for."""

from __future__ import annotations

import tarfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.flavour import Flavour
from lab.image import kernel_named
from lab.runner.context import Program
from lab.runner.failures import StepFailed
from lab.runner.klog import LogLine
from lab.runner.verbs import probe
from lab.scenario.steps_probe import Client, Fuzz

MODULE = Path(__file__).resolve().parents[2] / "guest_module"
COMPILED = probe._archive({"client": b"compiled"})
GOOD = "ok K5 huge\nok K6 too small\ndone\n"


class FakeContext:
    """Prints what it is told to for the client, and nothing for the compiler."""

    def __init__(
        self, *printed: str, status: int = 0, log: tuple[str, ...] = (), compiled: str = COMPILED
    ) -> None:
        self.printed = list(printed)
        self.status = status
        self.ran: list[list[str]] = []
        self.product = compiled
        self.unpacked: list[str] = []
        self.sources: list[str] = []
        self.forgotten: list[str] = []
        self.compiled: set[str] = set()
        self.reports: dict[str, object] = {}
        self.spoiled: list[tuple[int, int, int]] = []
        self.kernel = kernel_named("6.1")
        self.guest = SimpleNamespace(module_source=MODULE, module_dir="/modules", image="image")
        self.flavour = Flavour()
        self.model = SimpleNamespace(forget=self.forgotten.append)
        lines = [LogLine(text, 3) for text in log]
        self.flavour = Flavour()
        self.log = SimpleNamespace(expecting=self.expecting, lines=lines)
        self.polls = 0

    @contextmanager
    def expecting(self, _guest: object) -> Iterator[None]:
        yield
        self.polls += 1

    def device(self, name: str) -> Any:
        return SimpleNamespace(path=f"/dev/{name}", number=(254, ord(name[0])))

    def run(self, argv: list[str], *, input: str = "", check: bool = True) -> Program:
        self.ran.append(argv)
        if argv[0] == "sh":
            if input:
                (self.sources if "gcc" in argv[2] else self.unpacked).append(input)
            return Program(tuple(argv), 0, self.product if "base64 -w0" in argv[2] else "", "")
        return Program(tuple(argv), self.status, self.printed.pop(0), "")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLKSNAP_LAB_CACHE", str(tmp_path))


def compilations(context: FakeContext) -> list[list[str]]:
    return [one for one in context.ran if one[0] == "sh" and "gcc" in one[2]]


def client(context: FakeContext, **keys: Any) -> Any:
    return probe.client(context, Client(**keys))  # type: ignore[arg-type]


def fuzz(context: FakeContext, **keys: Any) -> Any:
    return probe.fuzz(context, Fuzz(**keys))  # type: ignore[arg-type]


def test_good_lines_pass_and_the_devices_are_forgotten() -> None:
    context = FakeContext(GOOD)
    assert client(context, groups=["counts"], rules=["K5", "K6"])["counts"] == 2
    assert context.forgotten == ["a", "b", "store"]
    assert context.ran[-1][-1] == "counts"
    assert "/dev/a=254:97" in context.ran[-1]


@pytest.mark.parametrize(
    ("printed", "status", "why"),
    [
        ("ok K5 huge\nnot ok K6 too small: got 0, must be 1\ndone\n", 1, "K6 too small: got 0"),
        ("ok K5 huge\nok K6 too small\n", 0, "did not come to its end"),
        (GOOD, 1, "status 1"),
        ("ok K5 huge\ndone\n", 0, "checked nothing of K6"),
        ("no such group\n", 0, "did not come to its end"),
    ],
)
def test_what_is_not_good_fails(printed: str, status: int, why: str) -> None:
    with pytest.raises(StepFailed, match=why):
        client(FakeContext(printed, status=status), groups=["counts"], rules=["K5", "K6"])


def test_rules_may_be_those_of_several_groups() -> None:
    context = FakeContext("ok K5 huge\ndone\n", "ok K6 too small\ndone\n")
    client(context, groups=["counts", "map"], rules=["K5", "K6"])
    assert len(compilations(context)) == 1


def test_what_one_guest_compiled_is_given_to_the_next_of_the_same_image() -> None:
    first, second, other = FakeContext(GOOD), FakeContext(GOOD), FakeContext(GOOD)
    other.guest.image = "another image"
    for context in (first, second, other):
        client(context, groups=["counts"])
    assert len(compilations(first)) == len(compilations(other)) == 1
    assert not compilations(second)
    assert second.unpacked == [COMPILED]
    third = FakeContext(GOOD)
    client(third, groups=["counts"], bits=32)
    assert len(compilations(third)) == 1, "of another command"


def test_a_build_with_names_of_its_own_is_met_by_them(tmp_path: Path) -> None:
    header = tmp_path / "vendor" / "include" / "uapi" / "linux" / "acme.h"
    header.parent.mkdir(parents=True)
    header.write_text("/* a vendor's */\n", encoding="ascii")
    (tmp_path / "vendor" / "Kbuild").touch()
    ours = (MODULE / "include/uapi/linux/blksnap.h").read_bytes()
    for source, expected in (
        (tmp_path / "vendor", header.read_bytes()),
        (MODULE, ours),
        (None, ours),
    ):
        context = FakeContext(GOOD)
        context.guest.module_source = source
        context.flavour = Flavour(module="acme", filter="hook", node="/dev/acme")
        client(context, groups=["counts"])
        if context.sources:
            with tarfile.open(fileobj=BytesIO(b64decode(context.sources[0]))) as tar:
                files = {one: read(tar, one) for one in tar.getnames()}
            assert files["include/linux/blksnap.h"] == expected
            names = files["include/names.h"].decode()
            names_and_patience = (
                'MODULE_NAME "acme"',
                'FILTER_NAME "hook"',
                'NODE "/dev/acme"',
                "PATIENCE 1",
            )
            for line in names_and_patience:
                assert f"#define {line}\n" in names
    assert not context.sources, "of the same header and names: it was compiled before"


def read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def test_a_product_that_does_not_come_over_in_full_is_not_kept(tmp_path: Path) -> None:
    for damaged in (COMPILED[:64], "", probe._archive({"other": b""}), "no base 64"):
        with pytest.raises(StepFailed, match="client did not come over from the guest in full"):
            client(FakeContext(GOOD, compiled=damaged), groups=["counts"])
        assert not list(tmp_path.glob("compiled/*"))
    client(FakeContext(GOOD), groups=["counts"])
    assert len(list(tmp_path.glob("compiled/*"))) == 1


def test_a_seed_is_kept_or_drawn_and_always_told() -> None:
    printed = "TAKE done 1 refused 2\nrequests 3\ndone\n"
    context = FakeContext(printed)
    assert fuzz(context, seed=7)["seed"] == 7
    assert context.reports == {"seed": "7", "requests": 3}, "a seed has no ratio to another"
    assert context.forgotten == ["store"], "the originals are not written"
    drawn = {fuzz(FakeContext(printed))["seed"] for _ in range(8)}
    assert len(drawn) > 1
    with pytest.raises(StepFailed, match="seed 7: fuzz"):
        fuzz(FakeContext("not ok TAKE: got -5, must be 0\ndone\n"), seed=7)


def test_a_long_time_is_cut_in_parts_and_the_log_read_after_each() -> None:
    printed = "TAKE done 1 refused 2\nrequests 3\ndone\n"
    context = FakeContext(*[printed] * 4)
    told = fuzz(context, seed=7, seconds=100.0)
    assert told["requests"] == 12
    assert told["answers"] == ["TAKE done 4 refused 8"]
    runs = [one for one in context.ran if "fuzz" in one]
    seeds, seconds = [one[-2] for one in runs], {one[-1] for one in runs}
    assert (seeds[0], len(set(seeds)), seconds) == ("7", 4, {"25"})
    assert context.polls >= 4
    again = FakeContext(*[printed] * 2, "not ok TAKE: got -5, must be 0\ndone\n")
    with pytest.raises(StepFailed, match=f"part 3 of 4, seed {seeds[2]}: fuzz"):
        fuzz(again, seed=7, seconds=100.0)


def test_only_storage_that_ran_out_may_have_spoiled_an_image() -> None:
    printed = "requests 3\ndone\n"
    full = "blksnap-diff-area: image of 254:97 is spoiled: error 28"
    context = FakeContext(printed, log=(full, full))
    fuzz(context, seed=1)
    assert context.spoiled == [(254, 97, 28)] * 2
    for wrong in (full.replace("28", "5"), full.replace("254:97", "254:1")):
        with pytest.raises(StepFailed, match="was spoiled"):
            fuzz(FakeContext(printed, log=(wrong,)), seed=1)
