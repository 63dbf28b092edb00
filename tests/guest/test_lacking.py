"""What a guest lacks is told without making it, stage by stage of prepare()."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import accel
from lab.accel import AccelChoice, decided
from lab.cache import Cache
from lab.cli import environment
from lab.doctor import Health
from lab.errors import EnvironmentLack
from lab.guest import prepare
from lab.guest.command import Accel
from lab.guest.prepare import lacking
from lab.guest.settings import GuestSettings
from lab.image import Image, ImageFacts, Recipe, kernel_named
from lab.modbuild import FACTS, find_module, module_key
from lab.modbuild import KIND as MODULES

IMAGE = Image(Path("/image"), "key", ImageFacts("bookworm", "6.1.0", (), {"gcc": "12"}))


@pytest.fixture
def settings(tmp_path: Path) -> GuestSettings:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "Makefile").write_text("obj-m := a.o\n")
    return GuestSettings(module=folder, accel=AccelChoice.TCG)


def test_without_an_image_there_is_nothing(settings: GuestSettings, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert lacking(settings, cache) == ("image", "module", "template")
    assert lacking(replace(settings, module=None), cache) == ("image", "template")
    built = replace(settings, recipe=Recipe(kernel_named("6.1-debug")))
    assert lacking(built, cache) == ("kernel", "image", "module", "template")
    assert not cache.root.exists()


def test_what_is_there_is_not_lacking(
    settings: GuestSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    plan: Any = SimpleNamespace(identity=SimpleNamespace(key="this-one"))
    monkeypatch.setattr(prepare, "find_image", lambda _recipe, _cache: IMAGE)
    monkeypatch.setattr(prepare, "_plan", lambda *_: plan)
    assert lacking(settings, cache) == ("module", "template")
    assert settings.module is not None
    folder = cache.root / MODULES / module_key(settings.module, IMAGE)
    folder.mkdir(parents=True)
    facts = '{"key": "k", "kernel_release": "6.1.0", "compiler": "", "modules": [], "warnings": []}'
    (folder / FACTS).write_text(facts)
    assert lacking(settings, cache) == ("template",)
    assert lacking(replace(settings, coverage=True), cache) == ("module", "template")
    (cache.root / prepare.KIND / "this-one").mkdir(parents=True)
    assert lacking(settings, cache) == ()
    (settings.module / "a.c").write_text("int x;\n")
    assert find_module(settings.module, IMAGE, cache) is None
    assert lacking(settings, cache) == ("module", "template")


def test_what_only_a_probe_can_tell_is_not_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    device = tmp_path / "kvm"
    monkeypatch.setattr(accel, "DEVICE", device)
    monkeypatch.setattr(accel, "qemu_identity", lambda: "QEMU 9")
    monkeypatch.setattr(accel, "probe", lambda *_: pytest.fail("probed"))
    assert decided(AccelChoice.AUTO, IMAGE, cache) is Accel.TCG
    device.touch()
    assert decided(AccelChoice.AUTO, IMAGE, cache) is None
    assert decided(AccelChoice.TCG, IMAGE, cache) is Accel.TCG
    monkeypatch.setattr(accel, "probe", lambda *_: None)
    accel.decide(AccelChoice.AUTO, IMAGE, cache)
    assert decided(AccelChoice.AUTO, IMAGE, cache) is Accel.KVM


def test_doctor_probes_again_what_a_probe_has_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str | None] = ["it was not on the console within 10 s", None]
    cache = Cache(tmp_path / "cache")
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(accel, "DEVICE", tmp_path / "kvm")
    monkeypatch.setattr(accel, "qemu_identity", lambda: "QEMU 9")
    monkeypatch.setattr(accel, "probe", lambda *_: answers.pop(0))
    monkeypatch.setattr(environment, "prepare_image", lambda *_: IMAGE)
    for _ in range(2):
        with pytest.raises(EnvironmentLack) as caught:
            accel.decide(AccelChoice.KVM, IMAGE, cache)
        assert "doctor --probe" in (caught.value.remedy or "")
    assert environment._acceleration(cache).health is Health.OK
    assert accel.decide(AccelChoice.KVM, IMAGE, cache).accel is Accel.KVM
