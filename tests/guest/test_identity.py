"""Templates are refused when anything they were made from differs."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.guest import identity
from lab.guest.disks import BlockSizes
from lab.guest.identity import Identity, StaleTemplate, misses_patches, qemu_release
from lab.guest.settings import GuestSettings
from lab.image import Recipe, kernel_named
from lab.units import MIB, TIB

IDENTITY = Identity("7.2", "tcg", "image", "6.1", "initramfs", "module", "agent", "command")


def test_a_template_of_the_same_identity_is_taken(tmp_path: Path) -> None:
    IDENTITY.save(tmp_path)
    IDENTITY.check(tmp_path)


@pytest.mark.parametrize("name", [field.name for field in fields(Identity)])
def test_any_difference_is_refused_and_named(tmp_path: Path, name: str) -> None:
    replace(IDENTITY, **{name: 99 if name == "format" else "other"}).save(tmp_path)
    with pytest.raises(StaleTemplate, match=name):
        IDENTITY.check(tmp_path)


@pytest.mark.parametrize("name", [field.name for field in fields(Identity)])
def test_any_difference_makes_another_key(name: str) -> None:
    other = replace(IDENTITY, **{name: 99 if name == "format" else "other"})
    assert other.key != IDENTITY.key


@pytest.mark.parametrize("text", [None, "", "[]", "not json"])
def test_what_does_not_say_what_it_is_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "identity.json").write_text(text)
    with pytest.raises(StaleTemplate):
        IDENTITY.check(tmp_path)


@pytest.mark.parametrize(
    ("said", "release", "misses"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", (7, 2), True),
        ("QEMU emulator version 8.0.5", (8, 0), True),
        ("QEMU emulator version 8.1.0", (8, 1), False),
        ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)", (10, 0), False),
        ("something else", (0, 0), True),
    ],
)
def test_old_emulators_are_told_from_new_ones(
    monkeypatch: pytest.MonkeyPatch, said: str, release: tuple[int, int], misses: bool
) -> None:
    monkeypatch.setattr(identity, "_version", lambda: said)
    assert qemu_release(said) == release
    assert misses_patches() is misses


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": MIB},
        {"memory": 512 * MIB + 1},
        {"memory": 100 * TIB},
        {"cpus": 0},
        {"cpus": 256},
        {"cpus": 17, "recipe": Recipe(kernel_named("6.1-small"))},
        {"slots": (BlockSizes(),) * 27},
    ],
)
def test_guests_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        GuestSettings(module=None, **wrong)  # type: ignore[arg-type]
