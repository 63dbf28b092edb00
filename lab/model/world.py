"""The whole model of one scenario's guest: the object that the runner talks to.

State -> Writes -> Snapshots -> Loads -> Checks -> Filling -> World   (each adds one thing)
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.content import Cell, shifted
from lab.model.filling import Filling
from lab.model.runmap import RunMap
from lab.model.seen import TrackerSeen
from lab.model.writes import Ranges
from lab.scenario.steps_snapshot import BackupMode


@dataclass(frozen=True, slots=True)
class BackupState:
    """What a backup device holds: the image as of this number of this generation."""

    device: str
    generation: str
    number: int


class World(Filling):
    """Everything, with backups and devices assembled from images on top."""

    def __init__(self, parameters: dict[str, int] | None = None) -> None:
        super().__init__(parameters)
        self._backups: dict[str, BackupState] = {}
        self._assembled_content: dict[tuple[str, str], RunMap[Cell]] = {}

    def backup_since(
        self, target: str, device: str, info: TrackerSeen, mode: BackupMode, since: int | None
    ) -> int | None:
        """Above which byte blocks have to be copied; None: all of them.

        A full copy is due when the backup is of another device or generation.
        """
        if mode is BackupMode.FULL:
            return None
        state = self._backups.get(target)
        if state is None or (state.device, state.generation) != (device, info.generation):
            return None
        return state.number if since is None else since

    def backup_done(
        self, snapshot: str, device: str, target: str, info: TrackerSeen, ranges: Ranges
    ) -> None:
        """Ranges of the image were copied to the backup device."""
        image = self._snapshots[snapshot].images[device].expected()
        node = self._nodes[target]
        for sector, count in ranges:
            for run in image.runs(sector, count):
                node.change(run.start, run.count, shifted(run.value, -node.base))
            self._changed(node, sector, count)
        self._backups[target] = BackupState(device, info.generation, info.number)

    def taken(self, snapshot: str, begin_ns: int, end_ns: int) -> None:
        """A take succeeded; content of devices that spread over its members is remembered."""
        super().taken(snapshot, begin_ns, end_ns)
        members = set(self._snapshots[snapshot].devices)
        for name, node in self._nodes.items():
            if node.members and members & set(node.members):
                self._assembled_content[snapshot, name] = node.view()

    def assembled(self, snapshot: str, device: str, name: str) -> None:
        """A copy of a spread device was built from the images of its members, as `name`."""
        content = self._assembled_content[snapshot, device]
        for member in self._nodes[device].members:
            if member in self._snapshots[snapshot].images:
                self.image_mounted(snapshot, member)
        self.add_disk(name, content.size)
        self._nodes[name].content = content.copy()
