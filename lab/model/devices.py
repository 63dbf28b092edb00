"""The devices of a guest as a tree: windows on other devices, or content of their own.

Several names may show the same bytes (a disk, its partitions, dm-linear on it). The bytes are
kept once, at the root; everything else translates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from lab.model.content import ZEROS, Cell, Stamp, either, one, shifted
from lab.model.runmap import RunMap


class NodeKind(StrEnum):
    """How a device relates to the one below."""

    ROOT = "root"
    PARTITION = "partition"
    """I/O to either side is seen by trackers of both (K29)."""
    STACKED = "stacked"
    """I/O to it is seen below, not the reverse (device mapper)."""


@dataclass
class Node:
    """A device: a root with content, or a window on its parent."""

    name: str
    tag: int
    sectors: int
    kind: NodeKind = NodeKind.ROOT
    parent: Node | None = None
    offset: int = 0
    """First sector of the window on the parent."""
    content: RunMap[Cell] = field(default_factory=lambda: RunMap(0, ZEROS))
    """Of a root only."""
    children: list[Node] = field(default_factory=list)
    members: tuple[str, ...] = ()
    """Names of the devices that an assembled one (stripe, lvm, raid) spreads over."""
    wild: bool = False
    """A file system is mounted on it: anything may be written at any time."""
    written: RunMap[bool] = field(default_factory=lambda: RunMap(0, False))
    """Of a root only: where anything was ever written."""
    kept: RunMap[Cell] | None = None
    """Of a root whose disk loses what was not flushed: what may be there after a power cut."""

    @property
    def root(self) -> Node:
        """The device that holds the bytes."""
        return self if self.parent is None else self.parent.root

    @property
    def base(self) -> int:
        """Its first sector, on the root."""
        return 0 if self.parent is None else self.parent.base + self.offset

    def put(self, sector: int, count: int, stamp: Stamp, *, sure: bool = True) -> None:
        """A write of a stamp (shift 0 = names its own sector here); not `sure`: or not."""
        placed = stamp if stamp.tag == 0 else stamp._replace(shift=stamp.shift + self.base)
        self.change(sector, count, one(placed), sure=sure)

    def change(self, sector: int, count: int, cell: Cell, *, sure: bool = True) -> None:
        """Give sectors a content in root terms; not `sure`: that or what they hold."""
        count = min(count, self.sectors - sector)
        root, at = self.root, self.base + sector
        if sure:
            root.content.set(at, count, cell)
        else:
            root.content.update(at, count, lambda old: either(old, cell))
        root.written.set(at, count, True)
        if root.kept is not None:
            root.kept.update(at, count, lambda old: either(old, cell))

    def view(self) -> RunMap[Cell]:
        """What each of its sectors may hold, in its own sectors; an independent copy."""
        base = self.base
        content = self.root.content.window(base, self.sectors)
        return content if base == 0 else content.mapped(lambda cell: shifted(cell, base))

    def resize(self, sectors: int) -> None:
        """Another size; what is new holds zeros."""
        self.sectors = sectors
        if self.parent is None:
            self.content = self.content.resized(sectors, ZEROS)
            self.kept = None if self.kept is None else self.kept.resized(sectors, ZEROS)
            self.written = self.written.resized(sectors, False)

    def seen_by(self, sector: int, count: int) -> Iterator[tuple[Node, int, int]]:
        """Every device that sees I/O to a range of this one: (device, sector, count) in its own
        sectors. Itself, all below, and partitions of those that are disks."""
        node: Node | None = self
        while node is not None:
            yield node, sector, count
            for child in node.children:
                if child.kind is not NodeKind.PARTITION or child is self:
                    continue
                start = max(sector, child.offset)
                end = min(sector + count, child.offset + child.sectors)
                if start < end and not _under(self, child):
                    yield child, start - child.offset, end - start
            sector += node.offset
            node = node.parent


def _under(node: Node, other: Node) -> bool:
    """Whether `other` is an ancestor of `node`."""
    above: Node | None = node.parent
    while above is not None:
        if above is other:
            return True
        above = above.parent
    return False


def root_node(name: str, tag: int, sectors: int, cell: Cell = ZEROS) -> Node:
    """A device with content of its own."""
    return Node(
        name, tag, sectors, content=RunMap(sectors, cell), written=RunMap(sectors, cell is None)
    )


def window_node(name: str, tag: int, parent: Node, offset: int, sectors: int) -> Node:
    """A device-mapper window on another."""
    node = Node(name, tag, sectors, NodeKind.STACKED, parent, offset)
    parent.children.append(node)
    return node


def partition_node(name: str, tag: int, parent: Node, offset: int, sectors: int) -> Node:
    """A partition of a disk."""
    node = Node(name, tag, sectors, NodeKind.PARTITION, parent, offset)
    parent.children.append(node)
    return node
