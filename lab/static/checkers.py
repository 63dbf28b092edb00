"""The checkers, run over a copy of the module's sources in the toolbox, and what they print.

make W=1 C=2            the compiler's warnings, and sparse
make -fanalyzer         gcc's analyzer follows the paths of each function
checkpatch --strict     style; of the patch series too, if the module has one
"""

import re
import shutil
from pathlib import Path

from lab.cache import Cache
from lab.errors import LabError
from lab.image import Toolbox
from lab.modbuild import source_files
from lab.process import CommandFailed
from lab.progress import Progress, ProgressSink, silent
from lab.series import has_series, read_plan, stored_series
from lab.static.findings import Checker, Finding

STAGE = "static checks"
CHECK_LIMIT = 900.0
WORK = "/mnt"

_MAKE = "make -k -O -j$(nproc) -C /lib/modules/*/build M=/mnt"
_WARNINGS = f"{_MAKE} W=1 C=2"
_ANALYZE = f"{_MAKE} KCFLAGS='-fanalyzer -fdiagnostics-plain-output'"
_CHECKPATCH = (
    "cd /mnt && perl /usr/src/linux-source-*/scripts/checkpatch.pl"
    " --no-tree --terse --show-types --strict --no-summary -f "
)

# MAINTAINERS names the whole folder of the driver when its first patch comes.
_CHECK_SERIES = (
    "cd /mnt && perl /usr/src/linux-source-*/scripts/checkpatch.pl --no-tree --terse --show-types"
    " --strict --no-summary --showfile --ignore FILE_PATH_CHANGES *.patch"
)
_COMPLAINT = re.compile(
    r"(?P<file>/[^:]+):(?P<line>\d+):(?:\d+:)? (?P<level>warning|error|fatal error): "
    r"(?P<text>.*?)(?: \[(?P<flag>-W[^\]]+)\])?"
)
# What sparse shows of a declaration, and of the two sides of an assignment.
_DETAIL = re.compile(r"/[^:]+:\d+:\d+: (?:warning|error):    .*")
_INLINED = re.compile(rf"\s+inlined from .* at {WORK}/(?P<file>[^:]+):(?P<line>\d+):\d+[,:]")
_STYLE = re.compile(
    r"(?P<file>[^:]+):(?P<line>\d+): (?:ERROR|WARNING|CHECK):(?P<kind>\w+): (?P<text>.*)"
)
_STYLED = re.compile(r".*\.[ch]|Kbuild|Kconfig|Makefile")


def check_module(source: Path, toolbox: Toolbox, progress: ProgressSink = silent) -> list[Finding]:
    """Everything that all checkers complain about, in order.

    LabError if the sources do not even build, or a checker itself fails.
    """
    files = source_files(source)
    findings: list[Finding] = []
    for fraction, name, script in (
        (0.0, "sparse and W=1", _WARNINGS),
        (0.4, "gcc -fanalyzer", _ANALYZE),
    ):
        progress(Progress(STAGE, name, fraction))
        findings += build_findings(_in_copy(source, files, toolbox, script))
    progress(Progress(STAGE, "checkpatch", 0.8))
    styled = [_name(source, path) for path in files if _STYLED.fullmatch(path.name)]
    output = _in_copy(source, files, toolbox, _CHECKPATCH + " ".join(styled))
    findings += style_findings(output)
    if has_series(source):
        findings += check_series(source, toolbox)
    # Both builds see what is wrong by any standard; so do both ways of looking at a file.
    return sorted(set(findings))


def check_series(source: Path, toolbox: Toolbox) -> list[Finding]:
    """What checkpatch says of the patches; files of the driver by their names in the module."""
    plan = read_plan(source)
    findings: list[Finding] = []
    for kernel in plan.kernels:
        with Cache().scratch("static") as folder:
            for name, text in stored_series(source, kernel).items():
                (folder / name).write_text(text, encoding="utf-8")
            output = _checked(folder, toolbox, _CHECK_SERIES)
        findings += style_findings(output.replace(f"{plan.driver}/", ""))
    return findings


def build_findings(output: str) -> list[Finding]:
    """The complaints in the output of make. LabError if it failed and none says why."""
    findings: list[Finding] = []
    outer: re.Match[str] | None = None
    for line in output.splitlines():
        if inlined := _INLINED.fullmatch(line):
            outer = outer or inlined
        if _DETAIL.fullmatch(line) or not (found := _COMPLAINT.fullmatch(line)):
            continue
        file, number = found["file"], found["line"]
        if not file.startswith(f"{WORK}/") and outer:
            # In a kernel header; what matters is who called it.
            file, number = f"{WORK}/{outer['file']}", outer["line"]
        outer = None
        findings.append(_finding(file.removeprefix(f"{WORK}/"), int(number), found))
    if not findings and ("***" in output or "LD [M]" not in output):
        raise LabError(f"the module does not build:\n{output}", "see what make says")
    return findings


def _finding(file: str, line: int, found: re.Match[str]) -> Finding:
    flag, text = found["flag"], found["text"]
    if flag is None:
        compiler = found["level"] != "warning"
        return Finding(file, line, Checker.COMPILER if compiler else Checker.SPARSE, text, text)
    analyzer = flag.startswith("-Wanalyzer-")
    return Finding(file, line, Checker.ANALYZER if analyzer else Checker.COMPILER, flag, text)


def style_findings(output: str) -> list[Finding]:
    """The complaints of checkpatch. LabError if it printed anything else."""
    findings: list[Finding] = []
    for line in filter(None, output.splitlines()):
        found = _STYLE.fullmatch(line)
        if found is None:
            raise LabError(f"checkpatch failed: {line}", "see what it says")
        place = found["file"], int(found["line"])
        findings.append(Finding(*place, Checker.CHECKPATCH, found["kind"], found["text"]))
    return findings


def _in_copy(source: Path, files: list[Path], toolbox: Toolbox, script: str) -> str:
    """What a script prints, whatever its exit status, run over a copy of the files."""
    with Cache().scratch("static") as folder:
        for path in files:
            target = folder / _name(source, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return _checked(folder, toolbox, script)


def _checked(folder: Path, toolbox: Toolbox, script: str) -> str:
    """What a script prints, whatever its exit status."""
    try:
        return toolbox.run(folder, script, timeout=CHECK_LIMIT)
    except CommandFailed as error:
        if error.status is None or error.status < 0:
            raise
        return error.output


def _name(source: Path, path: Path) -> str:
    return path.relative_to(source).as_posix()
