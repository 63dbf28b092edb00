"""The series in guest_module/kernel is what the sources make, and each file is in it once."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from lab.errors import LabError
from lab.series import (
    drifted,
    has_series,
    is_kept_series,
    read_plan,
    render_series,
    stored_series,
    write_series,
)
from lab.series.tree import driver_files

MODULE = Path(__file__).resolve().parents[2] / "guest_module"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A copy of our module, to be changed."""
    return Path(shutil.copytree(MODULE, tmp_path / "module"))


def change_plan(module: Path, old: str, new: str) -> None:
    path = module / "kernel/series.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_series_is_what_the_sources_make() -> None:
    assert drifted(MODULE) == [], "run `blksnap-lab kernel series`"


@pytest.mark.parametrize(
    "name", ["tracker.c", "compat.h", "Kbuild", "Kconfig", "kernel/blk-filter.c",
             "blk-filter-settle.c", "blk-filter-range.h",
             "kernel/6.1/edits/block.diff", "include/uapi/linux/blksnap.h"]
)  # fmt: skip
def test_a_change_of_any_source_is_drift(module: Path, name: str) -> None:
    path = module / name
    path.write_text(path.read_text().replace("SPDX", "XDPS", 1) + "\n/* more */\n")
    if name == "Kbuild":
        path.write_text(path.read_text().replace(" sysfs.o", ""))
    assert drifted(module)
    assert not is_kept_series(module, MODULE, "6.1")
    assert write_series(module)
    assert drifted(module) == []


def test_patches_that_are_missing_or_left_over_are_drift(module: Path) -> None:
    folder = module / "kernel/6.1"
    first = min(folder.glob("*.patch"))
    first.unlink()
    (folder / "0099-left-over.patch").write_text("")
    assert drifted(module) == [
        f"6.1/{first.name}: is missing",
        "6.1/0099-left-over.patch: nothing makes it any more",
    ]
    write_series(module)
    assert is_kept_series(module, MODULE, "6.1")


def test_a_comment_of_the_plan_is_no_drift(module: Path) -> None:
    change_plan(module, "author:", "# more\nauthor:")
    assert drifted(module) == []


def test_each_file_of_the_driver_is_in_one_patch() -> None:
    texts = render_series(MODULE, "6.1").values()
    made = [name for text in texts for name in re.findall(r"^\+\+\+ b/(\S+)", text, re.MULTILINE)]
    driver = [name for name in made if name.startswith("drivers/block/blksnap/")]
    assert sorted(driver) == [
        f"drivers/block/blksnap/{name}" for name in driver_files(MODULE, (6, 1, 0))
    ]
    assert "drivers/block/blksnap/tracker.c" in driver
    assert not any("filter_" in name for name in made), "the hook has no place in the tree"


def test_a_file_in_no_patch_or_in_two_is_an_error(module: Path) -> None:
    change_plan(module, '"chunk_core.h", ', "")
    change_plan(module, '["tracker*"]', '["tracker*", "main.c", "nothing.c"]')
    with pytest.raises(LabError) as caught:
        render_series(module, "6.1")
    assert str(caught.value).splitlines()[:3] == [
        "chunk_core.h is in 0 patches",
        "main.c is in 2 patches",
        "no file is nothing.c",
    ]


def test_a_source_of_the_driver_that_is_not_there_is_an_error(module: Path) -> None:
    (module / "sysfs.c").unlink()
    with pytest.raises(LabError, match=r"sysfs\.c cannot be read"):
        render_series(module, "6.1")


@pytest.mark.parametrize("kernel", read_plan(MODULE).kernels)
def test_the_tree_has_no_conditions_on_the_version_of_the_kernel(kernel: str) -> None:
    for text in stored_series(MODULE, kernel).values():
        assert "LINUX_VERSION_CODE" not in text
        assert "linux/version.h" not in text


def test_only_a_folder_with_a_plan_has_a_series(tmp_path: Path, module: Path) -> None:
    assert has_series(MODULE)
    assert not has_series(tmp_path)
    assert not is_kept_series(tmp_path, MODULE, "6.1")
    (module / "kernel/series.yaml").write_text(yaml.safe_dump({"author": "a"}))
    with pytest.raises(LabError, match="is no plan"):
        read_plan(module)
