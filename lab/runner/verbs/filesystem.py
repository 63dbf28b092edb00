"""Verbs for file systems, files and programs."""

from __future__ import annotations

from collections.abc import Mapping

from lab.runner.context import Context, Executor, Mounted
from lab.runner.failures import StepFailed
from lab.runner.ports import Disk
from lab.scenario import steps_fs as verbs
from lab.scenario.values import Filesystem

Detail = Mapping[str, object]

_FSCK: dict[Filesystem, tuple[str, ...]] = {
    Filesystem.EXT4: ("fsck.ext4", "-f", "-n"),
    Filesystem.XFS: ("xfs_repair", "-n"),
    Filesystem.BTRFS: ("btrfs", "check", "--readonly"),
    Filesystem.VFAT: ("fsck.vfat", "-n"),
    Filesystem.F2FS: ("fsck.f2fs", "--dry-run"),
}
"""Programs that check and change nothing, and end with status 0 if all is well."""


def mkfs(context: Context, action: verbs.Mkfs) -> Detail:
    """Make a file system."""
    context.request(
        "mkfs",
        {
            "device": context.device(action.device).path,
            "fs": action.fs.value,
            "options": list(action.options),
        },
    )
    context.model.forget(action.device)
    disk = context.guest.disks.get(action.device)
    if disk is not None and disk.log is not None:
        context.request("fsync", {"path": disk.path})
        context.power.made_fs(action.device, disk)
    return {"fs": action.fs.value}


def mount(context: Context, action: verbs.Mount) -> Detail:
    """Mount a device or an image."""
    if action.at in context.mounts:
        raise StepFailed(f"something is mounted at {action.at} already")
    args: dict[str, object] = {
        "device": context.path(action.device, action.snapshot),
        "path": action.at,
        "options": ",".join(action.options),
    }
    if action.fs is not None:
        args["fs"] = action.fs.value
    context.request("mount", args)
    context.mounts[action.at] = Mounted(action.at, action.device, action.snapshot)
    if action.snapshot is not None:
        context.model.image_mounted(action.snapshot, action.device)
    else:
        context.model.mounted(action.device)
    return {}


def umount(context: Context, action: verbs.Umount) -> Detail:
    """Unmount."""
    unmount(context, action.at)
    return {}


def unmount(context: Context, at: str) -> None:
    """Unmount and tell the model."""
    context.request("umount", {"path": at})
    mounted = context.mounts.pop(at, None)
    if mounted is None or mounted.snapshot is not None:
        return
    if not any(m.device == mounted.device and not m.snapshot for m in context.mounts.values()):
        context.model.unmounted(mounted.device)


def fsfreeze(context: Context, action: verbs.Fsfreeze) -> Detail:
    """Freeze."""
    context.request("fsfreeze", {"path": action.at, "thaw": False})
    context.frozen.add(action.at)
    return {}


def thaw(context: Context, action: verbs.Thaw) -> Detail:
    """Thaw."""
    context.request("fsfreeze", {"path": action.at, "thaw": True})
    context.frozen.discard(action.at)
    return {}


def write_files(context: Context, action: verbs.WriteFiles) -> Detail:
    """Files with known content."""
    args = {
        "folder": action.at,
        "count": action.count,
        "size": action.size,
        "seed": action.seed,
        "fsync": action.fsync,
    }
    place = _place(context, action.at)
    if place is not None:
        context.power.files_begin(*place)
    context.request("files_write", args)
    if not action.fsync:
        context.request("sync")
    if place is not None and action.fsync:
        device, folder, disk = place
        context.power.files_end(device, folder, action, disk)
    return {"files": action.count}


def _place(context: Context, path: str) -> tuple[str, str, Disk] | None:
    """Where a folder lies: the disk below, and the folder from the root of its file system."""
    for at, mounted in context.mounts.items():
        disk = context.guest.disks.get(mounted.device)
        inside = path.startswith(f"{at.rstrip('/')}/")
        if inside and disk is not None and mounted.snapshot is None:
            return mounted.device, path[len(at) :].strip("/"), disk
    return None


def check_files(context: Context, action: verbs.CheckFiles) -> Detail:
    """Compare such files."""
    args = {
        "folder": action.at,
        "count": action.count,
        "size": action.size,
        "seed": action.seed,
    }
    answer = context.request("files_check", args)
    bad = [f"{action.at}/{name} {why}" for name, why in answer["bad"]]
    if bad:
        raise StepFailed(f"{len(bad)} of {action.count} files are wrong: {bad[0]}", bad[:40])
    return {"files": int(answer["checked"])}


def fsck(context: Context, action: verbs.Fsck) -> Detail:
    """Check a file system."""
    path = context.path(action.device, action.snapshot)
    context.run([*_FSCK[action.fs], path])
    return {"fs": action.fs.value}


def execute(context: Context, action: verbs.Exec) -> Detail:
    """Run a program."""
    argv = [context.filled_in(word) for word in action.argv]
    program = context.run(argv, input=action.input or "", check=False)
    for name in action.changes:
        context.model.forget(name)
    if action.status is not None and program.status != action.status:
        raise program.failed(f"ended with status {program.status}, not {action.status}")
    for wanted, text, name in (
        (action.stdout_contains, program.stdout, "output"),
        (action.stderr_contains, program.stderr, "errors"),
    ):
        if wanted is not None and wanted not in text:
            raise program.failed(f"does not have {wanted!r} in its {name}")
    return {"status": program.status, "stdout": program.stdout[-2000:]}


EXECUTORS: dict[str, Executor] = {
    "mkfs": mkfs,
    "mount": mount,
    "umount": umount,
    "fsfreeze": fsfreeze,
    "thaw": thaw,
    "write_files": write_files,
    "check_files": check_files,
    "fsck": fsck,
    "exec": execute,
}
