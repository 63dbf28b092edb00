"""Modules that are built already: which files, and for which kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.options import GuestOptions
from lab.errors import UsageError
from lab.guest.prepare import module_payload
from lab.image import Image, ImageFacts, Payload
from lab.modready import ready_files, ready_module

IMAGE = Image(Path("/image"), "key", ImageFacts("bookworm", "6.1.0-56", (), {}))


def made(folder: Path, name: str, release: str = "6.1.0-56") -> Path:
    path = folder / name
    path.write_bytes(b"\x7fELF license=GPL\0vermagic=%s SMP mod_unload \0" % release.encode())
    return path


def test_a_folder_or_files_may_be_named(tmp_path: Path) -> None:
    one, two = made(tmp_path, "a.ko"), made(tmp_path, "b.ko")
    (tmp_path / "notes.txt").write_text("")
    assert ready_files((tmp_path,)) == ready_files((one, two)) == (one, two)


@pytest.mark.parametrize("name", ["missing.ko", "notes.txt", "empty"])
def test_what_is_no_module_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no kernel modules"):
        ready_files((tmp_path / name,))


def test_they_go_into_the_guest_as_they_are(tmp_path: Path) -> None:
    module = ready_module((made(tmp_path, "a.ko"),), IMAGE)
    (file,) = module_payload(module, Payload()).files
    assert file.name.endswith("/modules/a.ko")
    assert file.content == (tmp_path / "a.ko").read_bytes()


def test_other_contents_are_another_module(tmp_path: Path) -> None:
    path = made(tmp_path, "a.ko")
    before = ready_module((path,), IMAGE).key
    path.write_bytes(path.read_bytes() + b"x")
    assert ready_module((path,), IMAGE).key != before


@pytest.mark.parametrize("release", ["6.1.0-55", "6.1.0-56-cloud"])
def test_a_module_for_another_kernel_is_refused(tmp_path: Path, release: str) -> None:
    with pytest.raises(UsageError, match=rf"built for {release}; the guest's kernel is 6\.1\.0-56"):
        ready_module((made(tmp_path, "a.ko", release),), IMAGE)


def test_what_says_nothing_of_its_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(b"no module")
    with pytest.raises(UsageError, match="built for nothing that can be read"):
        ready_module((tmp_path / "a.ko",), IMAGE)


def test_the_option_takes_the_place_of_the_sources_and_brings_its_flavour(tmp_path: Path) -> None:
    made(tmp_path, "acme.ko")
    (tmp_path / "flavour.yaml").write_text("module: acme\n")
    settings = GuestOptions(ko=[tmp_path]).settings()
    assert settings.module is None
    assert settings.ready == (tmp_path / "acme.ko",)
    assert settings.flavour.module == "acme"
