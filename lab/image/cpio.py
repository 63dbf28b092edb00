"""Writer of cpio archives in the "newc" form, which the kernel unpacks as its initramfs.

Source of the layout: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

import stat
from dataclasses import dataclass, field

ALIGNMENT = 4


@dataclass
class CpioArchive:
    """An archive that grows by add_* and is complete as `bytes(archive)`; all is owned by root."""

    _pieces: list[bytes] = field(default_factory=list)
    _folders: set[str] = field(default_factory=set)
    _inode: int = 0

    def add_file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file with the folders above it; `name` has no leading slash."""
        self._add_parents(name)
        self._add(name, stat.S_IFREG | mode, content)

    def add_folder(self, name: str, mode: int = 0o755) -> None:
        """Add a folder with the folders above it, unless it is there."""
        if name and name not in self._folders:
            self._add_parents(name)
            self._folders.add(name)
            self._add(name, stat.S_IFDIR | mode, b"")

    def __bytes__(self) -> bytes:
        trailer = _record("TRAILER!!!", 0, 0, b"")
        return b"".join([*self._pieces, trailer])

    def _add_parents(self, name: str) -> None:
        self.add_folder(name.rpartition("/")[0])

    def _add(self, name: str, mode: int, content: bytes) -> None:
        self._inode += 1
        self._pieces.append(_record(name, self._inode, mode, content))


def _record(name: str, inode: int, mode: int, content: bytes) -> bytes:
    raw_name = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize chk
    numbers = (inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(raw_name), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + raw_name) + _padded(content)


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % ALIGNMENT)
