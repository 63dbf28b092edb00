"""The archive that guests boot with."""

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.image import ImageFacts, Payload, base_payload, build_initramfs, machine_keys
from lab.image.cpio import CpioArchive
from lab.image.initramfs import build_probe_initramfs


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    (folder / "early").mkdir(parents=True)
    (folder / "busybox").write_bytes(b"busybox")
    (folder / "early/virtio.ko").write_bytes(b"driver")
    ImageFacts("bookworm", "6.1", ("virtio.ko",), {}).save(folder)
    return folder


def listing(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by name, read by the layout that the kernel documents."""
    found, position = {}, 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + 6 + 8 * n : position + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name_end = position + 110 + name_size
        name = archive[position + 110 : name_end - 1].decode()
        data = (name_end + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[data : data + size])
        position = (data + size + 3) // 4 * 4


def test_names_modes_and_contents_of_any_length() -> None:
    archive = CpioArchive()
    for length in range(6):
        archive.add_file(f"{'d' * length}x/file", bytes(range(length)), 0o755)
    found = listing(bytes(archive))
    assert found["dddx/file"] == (0o100755, b"\0\1\2")
    assert found["dddx"] == (0o040755, b"")


def test_init_is_first_and_ours_is_laid_over_the_root(image: Path, tmp_path: Path) -> None:
    keys = machine_keys(Cache(tmp_path / "cache"))
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "x.py").write_text("pass")
    payload = base_payload(keys).with_tree(tmp_path / "agent", "opt/agent", "**/*.py")
    found = listing(build_initramfs(image, payload))
    assert found["init"][0] == 0o100755
    assert found["early/order"][1] == b"virtio.ko\n"
    assert found["payload/opt/agent/x.py"][1] == b"pass"
    assert found["payload/etc/lab/boot"][0] == 0o100755
    assert found["payload/etc/inittab"][0] == 0o100644
    assert found["payload/etc/ssh/ssh_host_ed25519_key"][0] == 0o100600
    assert found["payload/root/.ssh"][0] == 0o040700
    assert keys.login_key.read_bytes() not in [content for _mode, content in found.values()]


def test_the_same_parts_make_the_same_archive(image: Path, tmp_path: Path) -> None:
    keys = machine_keys(Cache(tmp_path / "cache"))
    one, two = (build_initramfs(image, base_payload(keys)) for _ in range(2))
    assert one == two
    assert build_initramfs(image, Payload()) != one


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    keys = machine_keys(cache)
    assert machine_keys(cache) == keys
    assert keys.login_key.stat().st_mode & 0o077 == 0
    assert keys.login_key.read_bytes() != keys.host_key.read_bytes()


def test_the_probe_says_its_line(image: Path) -> None:
    assert b"echo 'alive'" in listing(build_probe_initramfs(image, "alive"))["init"][1]
