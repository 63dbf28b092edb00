"""Verbs for the client in C and the second filter, which are compiled in the guest.

What a guest has compiled is kept in the cache; others of the same image get it from there.

A check of the client is a line "ok NAME" or "not ok NAME: why", NAME beginning with the rule it is
about; its last line is "done".
"""

from __future__ import annotations

import errno
import math
import random
import re
import tarfile
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from lab.cache import Cache, digest_of
from lab.data import data_file, data_folder
from lab.flavour import Flavour
from lab.image import Kernel
from lab.modbuild import source_files
from lab.runner.context import Context, Executor
from lab.runner.failures import StepFailed
from lab.runner.klog import module_complaints, spoiled_images
from lab.runner.verbs.module import LOAD_LIMIT
from lab.scenario import steps_probe as verbs

Detail = Mapping[str, object]
SOURCES = "/run/blksnap-lab"
"""The guest's folder for what is compiled there; in its memory."""
KIND = "compiled"
PRODUCT = "product.tar.gz.base64"
LONGEST_PART = 30.0
"""Seconds of random requests at a time."""
ANSWERS = re.compile(r"(.+) done (\d+) refused (\d+)")
COMPILER = (
    "gcc -Wall -Wextra -Werror -Wno-unused-parameter -std=gnu11 -O1 -ffreestanding"
    " -fno-stack-protector -fno-pie -static -nostdlib -no-pie -s"
    " -Iinclude -I/usr/include -I/usr/include/x86_64-linux-gnu"
)
MAKE = (
    "{ make -j2 -C /lib/modules/$(uname -r)/build M=$PWD modules >log 2>&1"
    " || { cat log; false; }; }"
)
SIZES_32 = {
    "blk_snap_cbt_info": 44,
    "blk_snap_tracker_collect": 8,
    "blk_snap_tracker_read_cbt_bitmap": 20,
    "blk_snap_tracker_mark_dirty_blocks": 16,
    "blk_snap_snapshot_create": 24,
    "blk_snap_snapshot_append_storage": 32,
    "blk_snap_snapshot_collect": 8,
    "blk_snap_snapshot_collect_images": 24,
    "blk_snap_snapshot_event": 4096,
}
REQUESTS_32 = {
    "IOCTL_BLK_SNAP_TRACKER_COLLECT": 0x40085602,
    "IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP": 0x80145603,
    "IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS": 0x80105604,
    "IOCTL_BLK_SNAP_SNAPSHOT_CREATE": 0x40185605,
    "IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE": 0x40205607,
    "IOCTL_BLK_SNAP_SNAPSHOT_COLLECT": 0x40085609,
    "IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES": 0x4018560A,
}
"""Of v0 for 32 bits, by the sizes that i386 gives the structures; all others are as for 64."""


def client(context: Context, action: verbs.Client) -> Detail:
    """Run groups of checks, and judge their lines."""
    checked: dict[str, int] = {}
    for group in action.groups:
        with context.log.expecting(context.guest):
            lines = _run(context, action, group.value)
        good = [line for line in lines if line.startswith("ok ")]
        checked[group.value] = len(good)
        if group is verbs.ClientGroup.LAYOUT:
            checked[group.value] = _compare_layout(context, action.bits, lines)
        lacking = set(action.rules) - {line.split()[1] for line in good}
        action = action.model_copy(update={"rules": tuple(lacking)})
    if action.rules:
        raise StepFailed(f"the client has checked nothing of {', '.join(sorted(action.rules))}")
    for name in action.devices:
        context.model.forget(name)
    _claim_log(context, action)
    return {"bits": action.bits, **checked}


def fuzz(context: Context, action: verbs.Fuzz) -> Detail:
    """Random requests; the seed is in the report, also if it fails.

    In parts: the kernel log is read after each, as a longer one may overrun it.
    """
    seed = random.SystemRandom().randrange(2**32) if action.seed is None else action.seed
    # As text: it is no figure, of which two runs have a ratio.
    context.reports["seed"] = str(seed)
    parts = max(1, math.ceil(action.seconds / LONGEST_PART))
    seconds = str(max(1, round(action.seconds / parts)))
    answers: dict[str, Counter[str]] = {}
    made = 0
    for number, part in enumerate(_seeds(seed, parts), 1):
        try:
            with context.log.expecting(context.guest):
                lines = _run(context, action, "fuzz", str(part), seconds)
        except StepFailed as error:
            where = f"part {number} of {parts}, " if parts > 1 else ""
            raise StepFailed(f"{where}seed {part}: {error}", error.detail) from error
        made += sum(int(line.split()[1]) for line in lines if line.startswith("requests "))
        _add_answers(answers, lines)
        context.reports["requests"] = made
    context.model.forget(action.devices[2])
    _claim_log(context, action)
    told = [
        f"{command} done {count['done']} refused {count['refused']}"
        for command, count in answers.items()
    ]
    return {"seed": seed, "requests": made, "answers": told}


def _seeds(seed: int, parts: int) -> list[int]:
    """One for each part, all by the one seed, which is that of the first part itself."""
    dice = random.Random(seed)
    return [seed, *(dice.randrange(2**32) for _ in range(parts - 1))]


def _add_answers(answers: dict[str, Counter[str]], lines: Sequence[str]) -> None:
    """Add up lines such as "TAKE done 1 refused 2"."""
    for line in lines:
        match = ANSWERS.fullmatch(line)
        if match:
            count = Counter(done=int(match[2]), refused=int(match[3]))
            answers.setdefault(match[1], Counter()).update(count)


def _claim_log(context: Context, action: verbs.ClientStep) -> None:
    """What was spoiled is no surprise, though its events went to the client.

    StepFailed unless it was the client's devices that ran out of storage.
    """
    numbers = {context.device(name).number for name in action.devices}
    complaints = module_complaints(context.log.lines, context.flavour.log)
    told = Counter(spoiled_images(complaints)) - Counter(context.spoiled)
    for major, minor, number in told.elements():
        if (major, minor) not in numbers or number != errno.ENOSPC:
            raise StepFailed(f"the image of {major}:{minor} was spoiled, errno {number}")
        context.spoiled.append((major, minor, number))
    context.spoiled.sort()


def second_filter(context: Context, action: verbs.SecondFilter) -> Detail:
    """Load the second filter. AgentFailure with what its loading was refused for."""
    if "second-filter" not in context.compiled:
        files = {**_module_source(context), **_data("second-filter")}
        # In place of the module: beside the filter, which tells the versions of its symbols.
        module, header = f" {context.flavour.module}.o", f"linux/{context.flavour.filter}.h"
        files["Kbuild"] = files["Kbuild"].replace(module.encode(), b" second.o")
        files["second.c"] = files["second.c"].replace(b"linux/bdevfilter.h", header.encode())
        _compile(context, "second-filter", files, MAKE, "second.ko")
    major, minor = context.device(action.device).number
    args = {
        "path": f"{SOURCES}/second-filter/second.ko",
        "params": {"major": major, "minor": minor, "altitude": action.altitude},
    }
    context.request("module_load", args, LOAD_LIMIT)
    return {"altitude": action.altitude}


def load_announcing(context: Context) -> None:
    """Compile and load the targets of announcing devices, if that was not done yet."""
    if "announcing" in context.compiled:
        return
    context.run(["modprobe", "dm-mod"])
    _compile(context, "announcing", _data("announcing"), MAKE, "announcing.ko")
    path = f"{SOURCES}/announcing/announcing.ko"
    context.request("module_load", {"path": path}, LOAD_LIMIT)


def _run(context: Context, action: verbs.ClientStep, group: str, *more: str) -> Sequence[str]:
    """The lines that a group prints: none is "not ok", the last is "done"."""
    devices = [context.device(name) for name in action.devices]
    places = [f"{one.path}={one.number[0]}:{one.number[1]}" for one in devices]
    path = _client(context, action.bits)
    program = context.run([path, str(context.guest.module_dir), *places, group, *more], check=False)
    lines = program.stdout.splitlines()
    failed = [line.removeprefix("not ok ") for line in lines if line.startswith("not ok ")]
    if failed:
        raise StepFailed(f"{group}, {action.bits} bits: {failed[0]}", failed)
    if lines[-1:] != ["done"] or program.status != 0:
        raise program.failed(f"{group}: did not come to its end, status {program.status}")
    return lines


def _client(context: Context, bits: int) -> str:
    """The guest's path of the client for a word size; compiled when first used."""
    name = f"client{bits}"
    if name not in context.compiled:
        files = {
            **_data("client"),
            "include/linux/blksnap.h": _header(context),
            "include/names.h": _names(context.flavour, context.kernel),
        }
        _compile(context, name, files, f"{COMPILER} -m{bits} *.c -o client", "client")
    return f"{SOURCES}/{name}/client"


def _header(context: Context) -> bytes:
    """The module's header of the interface, by the name that its flavour gives it, else ours."""
    folder = "include/uapi/linux"
    source = {} if context.guest.module_source is None else _module_source(context)
    named = source.get(f"{folder}/{context.flavour.module}.h")
    return named or (data_folder("guest_module") / folder / "blksnap.h").read_bytes()


def _names(flavour: Flavour, kernel: Kernel) -> bytes:
    """The header with the names of the flavour, as the client writes them, and its patience: what
    limits of time are multiplied by in a slow kernel."""
    names = {
        "MODULE_NAME": flavour.module,
        "FILTER_NAME": flavour.filter,
        "NODE": flavour.node,
        "IMAGE": flavour.image,
        "DEBUGFS": flavour.debugfs,
    }
    lines = [f'#define {key} "{name}"\n' for key, name in names.items()]
    return "".join([*lines, f"#define PATIENCE {math.ceil(kernel.slowness)}\n"]).encode()


def _module_source(context: Context) -> dict[str, bytes]:
    """The sources that the module was built from, by their paths in its folder."""
    source = context.guest.module_source
    if source is None:
        raise StepFailed("the sources of the module are not known")
    return {str(path.relative_to(source)): path.read_bytes() for path in source_files(source)}


def _compile(
    context: Context, name: str, files: Mapping[str, bytes], command: str, product: str
) -> None:
    """Have a file in a folder of the guest that this guest or another compiled of sources."""
    folder = f"{SOURCES}/{name}"
    enter = f"mkdir -p {folder} && cd {folder} && base64 -d | tar xz"
    compiled = False

    def build(entry: Path) -> None:
        nonlocal compiled
        context.run(["sh", "-c", f"{enter} && {command}"], input=_archive(files))
        # Without debugging information it fits what the agent hands out of a program's output.
        pack = f"cd {folder} && strip -g {product} && tar cz {product} | base64 -w0"
        made = context.run(["sh", "-c", pack]).stdout
        _require_whole(made, product)
        (entry / PRODUCT).write_text(made, encoding="ascii")
        compiled = True

    sources = (part for path in sorted(files) for part in (path, files[path]))
    key = digest_of(context.guest.image, command, product, *sources)
    entry = Cache().entry(KIND, key, build)
    if not compiled:
        context.run(["sh", "-c", enter], input=(entry / PRODUCT).read_text(encoding="ascii"))
    context.compiled.add(name)


def _require_whole(archive: str, product: str) -> None:
    """StepFailed unless an archive, in base 64, came over in full."""
    try:
        with tarfile.open(
            fileobj=BytesIO(b64decode(archive, validate=True)), mode="r:gz"
        ) as packed:
            found = packed.extractfile(product)
            assert found is not None  # it is a file
            found.read()
    except (ValueError, KeyError, EOFError, OSError, tarfile.TarError) as error:
        raise StepFailed(f"{product} did not come over from the guest in full: {error}") from error


def _archive(files: Mapping[str, bytes]) -> str:
    """Files as a tar file, in base 64."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    return b64encode(packed.getvalue()).decode()


def _data(folder: str) -> dict[str, bytes]:
    """The files of a folder of lab/data."""
    return {path.name: path.read_bytes() for path in sorted(data_file(folder).iterdir())}


def _compare_layout(context: Context, bits: int, lines: Sequence[str]) -> int:
    """Compare what a compiler makes of the header with the library's structures; facts compared.

    The library is a program's of 64 bits; of 32 bits sizes and requests are known.
    """
    facts = [line.rpartition(" ") for line in lines if not line.startswith(("ok ", "done"))]
    seen = {what: int(number) & 0xFFFFFFFF for what, _, number in facts}
    wanted = {str(what): int(n) for what, n in context.request("abi_layout")["facts"].items()}
    if bits == 32:
        seen = {what: n for what, n in seen.items() if "." not in what}
        wanted = {what: n for what, n in wanted.items() if "." not in what}
        wanted |= {f"size {name}": size for name, size in SIZES_32.items()}
        wanted |= {f"request {name}": value for name, value in REQUESTS_32.items()}
    wrong = [
        f"{what} is {seen.get(what)}, must be {wanted.get(what)}"
        for what in sorted(seen.keys() | wanted.keys())
        if seen.get(what) != wanted.get(what)
    ]
    if wrong:
        raise StepFailed(f"layout, {bits} bits: {wrong[0]}", wrong)
    return len(wanted)


EXECUTORS: dict[str, Executor] = {
    "client": client,
    "fuzz": fuzz,
    "second_filter": second_filter,
}
