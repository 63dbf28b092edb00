"""The state of one scenario's guest as the model knows it: devices, trackers, snapshots, tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.model.cbt import CbtModel
from lab.model.content import ZEROS
from lab.model.devices import Node, NodeKind, partition_node, root_node, window_node
from lab.model.sizes import DEFAULTS
from lab.model.snapshot import ImageModel, SnapshotModel
from lab.scenario import devices as declared

_WHOLE_WINDOWS = (
    declared.Delay,
    declared.Flakey,
    declared.ErrorZone,
    declared.Multipath,
    declared.NvmeTcp,
)


@dataclass(frozen=True, slots=True)
class WriteLabel:
    """Which writes a range of numbers stands for."""

    first: int
    last: int
    text: str


class State:
    """Names, tags and objects; the layers above it know what happens to them."""

    def __init__(self, parameters: Mapping[str, int] | None = None) -> None:
        self.module_loaded(parameters or {})
        self._nodes: dict[str, Node] = {}
        self._gone: dict[str, Node] = {}
        self._trackers: dict[str, CbtModel] = {}
        self._snapshots: dict[str, SnapshotModel] = {}
        self._used_ids: set[str] = set()
        self._tag_names: dict[int, str] = {}
        self._labels: dict[int, list[WriteLabel]] = {}
        self._next_seq: dict[int, int] = {}

    # -- parameters ---------------------------------------------------------------------------

    def module_loaded(self, parameters: Mapping[str, int]) -> None:
        """The module was loaded with these; the others are as they are by default."""
        self.parameters: dict[str, int] = {**DEFAULTS, **parameters}

    def set_parameters(self, parameters: Mapping[str, int]) -> None:
        """Parameters changed while the module is loaded."""
        self.parameters.update(parameters)

    # -- devices ------------------------------------------------------------------------------

    def add_disk(self, name: str, sectors: int, *, loses: bool = False) -> None:
        """A disk full of zeros; `loses`: at a power cut it loses what was not flushed."""
        node = root_node(name, self._new_tag(name), sectors)
        if loses:
            node.kept = node.content.copy()
        self._nodes[name] = node

    def add_stack(self, name: str, device: declared.Device, sectors: int) -> None:
        """A stacked device that has just been built, `sectors` long."""
        tag = self._gone[name].tag if name in self._gone else self._new_tag(name)
        stack = device.stack
        if isinstance(stack, declared.Partition):
            disk = self._nodes[stack.on]
            node = partition_node(name, tag, disk, stack.at // 512, sectors)
        elif isinstance(stack, declared.Linear):
            node = window_node(name, tag, self._nodes[stack.on], stack.at // 512, sectors)
        elif isinstance(stack, _WHOLE_WINDOWS):
            node = window_node(name, tag, self._nodes[stack.on], 0, sectors)
        else:
            node = self._assembled(name, tag, device, sectors)
        self._nodes[name] = node

    def _assembled(self, name: str, tag: int, device: declared.Device, sectors: int) -> Node:
        """A device with content of its own; what lies below is no longer known."""
        stack = device.stack
        old = self._gone.get(name)
        if isinstance(stack, declared.Loop) and stack.file is not None and old is not None:
            old.resize(sectors)
            return old
        below = [self._nodes[member] for member in device.below]
        garbled = isinstance(stack, declared.Crypt)
        garbled |= isinstance(stack, declared.NullBlk) and stack.zoned
        fresh = not garbled and all(
            not any(run.value for run in node.root.written.runs()) for node in below
        )
        for node in below:
            node.change(0, node.sectors, None)
            self.set_wild(node, True)
        node = root_node(name, tag, sectors, ZEROS if fresh else None)
        node.members = device.below
        return node

    def remove_device(self, name: str) -> None:
        """A device is gone: taken down or unplugged. Its tracker is gone with it (K37)."""
        node = self._nodes.pop(name)
        self._gone[name] = node
        self._trackers.pop(name, None)
        if node.parent is not None:
            node.parent.children.remove(node)
        for member in node.members:
            if member in self._nodes:
                self.set_wild(self._nodes[member], False)

    def disk_back(self, name: str) -> None:
        """A disk that was unplugged is there again, with what it held."""
        self._nodes[name] = self._gone.pop(name)

    def resized(self, name: str, sectors: int) -> None:
        """A device has another size."""
        node = self._nodes[name]
        node.resize(sectors)
        if name in self._trackers:
            self._trackers[name].resized(sectors)
        for child in node.children:
            cut = child.offset + child.sectors > sectors
            if child.kind is NodeKind.PARTITION and cut and child.name in self._trackers:
                self._trackers[child.name].lost_content()

    def is_opaque(self, name: str) -> bool:
        """Whether it holds anything that the model does not know, or may get it any moment."""
        node = self._nodes[name].root
        return node.wild or any(run.value is None for run in node.content.runs())

    def tag(self, name: str) -> int:
        """The tag of a device's stamps."""
        return self._nodes[name].tag

    # -- tags and write numbers ---------------------------------------------------------------

    def _new_tag(self, name: str) -> int:
        tag = len(self._tag_names) + 1
        self._tag_names[tag] = name
        self._next_seq[tag] = 1
        self._labels[tag] = []
        return tag

    def _number(self, tag: int, count: int, text: str) -> int:
        """The first of `count` new write numbers of a tag."""
        first = self._next_seq[tag]
        self._next_seq[tag] += count
        self._labels[tag].append(WriteLabel(first, first + count - 1, text))
        return first

    def describe(self, tag: int, seq: int) -> str:
        """Which write that was, in words."""
        if tag not in self._tag_names:
            return f"a stamp of nobody (tag {tag}, write {seq})"
        text = next((lb.text for lb in self._labels[tag] if lb.first <= seq <= lb.last), "unknown")
        return f"write {seq} to {self._tag_names[tag]} ({text})"

    # -- who sees what ------------------------------------------------------------------------

    def set_wild(self, node: Node, wild: bool) -> None:
        """Unknown writers begin or end; the maps of all that see them are unsure."""
        node.wild = wild
        for seen, sector, count in node.seen_by(0, node.sectors):
            tracker = self._trackers.get(seen.name)
            if tracker is not None:
                tracker.mark_maybe(sector, count)
                tracker.wild = self._is_wild(seen)
            for image in self._images_of(seen.name):
                image.touched.touch(sector, count, sure=False)

    def _is_wild(self, node: Node) -> bool:
        """Whether I/O that the model does not know of may reach a device."""
        if node.wild:
            return True
        return any(
            other.wild and any(seen is node for seen, _, _ in other.seen_by(0, other.sectors))
            for other in self._nodes.values()
        )

    def _tracked(self, node: Node, sector: int, count: int) -> Iterator[tuple[CbtModel, int, int]]:
        """Trackers that see I/O to a range of a device, with the range as theirs."""
        for seen, start, length in node.seen_by(sector, count):
            if seen.name in self._trackers:
                yield self._trackers[seen.name], start, length

    def _images_of(self, name: str) -> Iterator[ImageModel]:
        for snapshot in self._snapshots.values():
            if name in snapshot.images:
                yield snapshot.images[name]

    def _held(self, node: Node, sector: int, count: int) -> Iterator[tuple[ImageModel, int, int]]:
        """Images of devices that see I/O to a range of a device, with the range as theirs."""
        for seen, start, length in node.seen_by(sector, count):
            for image in self._images_of(seen.name):
                yield image, start, length
