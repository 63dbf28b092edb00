"""Conditions on the kernel's version are decided for one release; all others stay."""

import re
import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.series.release import for_release, parse_release

MODULE = Path(__file__).resolve().parents[2] / "guest_module"
ASKING = sorted(path for path in MODULE.rglob("*.[ch]") if "LINUX_VERSION_CODE" in path.read_text())
OLD, NEW = (5, 10, 0), (6, 12, 0)
CHOICE = """\
int a;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
int newer;
#else
int older;
#endif
"""


def test_one_side_of_a_choice_is_left() -> None:
    assert for_release(CHOICE, NEW) == "int a;\nint newer;\n"
    assert for_release(CHOICE, OLD) == "int a;\nint older;\n"
    assert for_release(CHOICE, (6, 0, 0)) == for_release(CHOICE, NEW)


def test_what_explains_nothing_any_more_goes() -> None:
    text = (
        "int a;\n\n/*\n * 6.0 has it.\n */\n#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)\n"
        "int b;\n#endif\n\nint c;\n"
    )
    assert for_release(text, NEW) == "int a;\n\nint c;\n"
    assert for_release(text, OLD) == "int a;\n\n/*\n * 6.0 has it.\n */\nint b;\n\nint c;\n"


CHAIN = """\
#ifndef CONFIG_X
int none;
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
int newer;
#else
int older;
#endif
"""
FIRST_GOES = """\
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
int newer;
#elif defined(CONFIG_X)
int x;
#else
int older;
#endif
"""


def test_conditions_that_nobody_can_decide_here_stay() -> None:
    assert for_release(CHAIN, NEW) == "#ifndef CONFIG_X\nint none;\n#else\nint newer;\n#endif\n"
    assert for_release(CHAIN, OLD) == "#ifndef CONFIG_X\nint none;\n#else\nint older;\n#endif\n"
    assert for_release(FIRST_GOES, OLD) == (
        "#if defined(CONFIG_X)\nint x;\n#else\nint older;\n#endif\n"
    )
    plain = "#ifdef X\n#define Y 1\n#endif\n"
    assert for_release(plain + CHOICE, NEW) == plain + "int a;\nint newer;\n"


def test_conditions_within_conditions_are_followed() -> None:
    nested = f"#ifdef X\n{CHOICE}#endif\n"
    assert for_release(nested, NEW) == "#ifdef X\nint a;\nint newer;\n#endif\n"
    hidden = f"#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)\n{CHOICE}#endif\nint z;\n"
    assert for_release(hidden, NEW) == "int z;\n"
    assert for_release(hidden, OLD) == "int a;\nint older;\nint z;\n"


def test_two_bounds_joined_over_lines() -> None:
    text = (
        "#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0) && \\\n"
        "\tLINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)\nint a;\n#endif\n"
    )
    assert for_release(text, (5, 17, 0)) == "int a;\n"
    assert for_release(text, NEW) == for_release(text, OLD) == ""


@pytest.mark.parametrize(
    "text",
    [
        "#if LINUX_VERSION_CODE > KERNEL_VERSION(6, 0, 0)\n#endif\n",
        "#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0) || X\n#endif\n",
        "#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)\nint a;\n",
        "#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)\n#endif\n#endif\n",
    ],
)
def test_what_cannot_be_followed_is_an_error(text: str) -> None:
    with pytest.raises(LabError):
        for_release(text, NEW)


def test_a_release_has_two_numbers() -> None:
    assert parse_release("6.12") == (6, 12, 0)
    with pytest.raises(LabError):
        parse_release("6.12.1")


@pytest.mark.parametrize("release", [OLD, (6, 1, 0), NEW, (7, 3, 0)])
@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.name)
def test_our_sources_are_what_the_preprocessor_makes_of_them(
    path: Path, release: tuple[int, int, int]
) -> None:
    text = path.read_text()
    ours = for_release(text, release)
    assert "LINUX_VERSION_CODE" not in ours
    assert preprocessed(ours, release) == preprocessed(text, release)


def preprocessed(text: str, release: tuple[int, int, int]) -> str:
    """The tokens that the compiler would see, without those of headers."""
    major, minor, patch = release
    defined = f"-DLINUX_VERSION_CODE={(major << 16) + (minor << 8) + patch}"
    bare = re.sub(r"^#include.*$", "", text, flags=re.MULTILINE)
    shifted = "-DKERNEL_VERSION(a,b,c)=(((a)<<16)+((b)<<8)+(c))"
    command = ["cpp", "-P", "-w", "-undef", defined, shifted, "-"]
    made = subprocess.run(command, input=bare, capture_output=True, text=True, check=True)
    return "\n".join(line for line in made.stdout.splitlines() if line.strip())
