"""Fragments of kernel configurations: put together, and compared with what came of them."""

import pytest

from lab.image.kconfig import (
    ConfigError,
    Fragment,
    config_text,
    lost,
    merge,
    parse_config,
    read_fragment,
    refuse_lost,
)
from lab.image.kernels import BUILT_KERNELS, Kernel

BASE = Fragment("base", "# The machine.\nCONFIG_SMP=y\nCONFIG_NR_CPUS=16\n\nCONFIG_KASAN=y\n")
TOP = Fragment("top", "# CONFIG_KASAN is not set\nCONFIG_KCSAN=y\n")


def test_the_last_fragment_decides() -> None:
    assert merge([BASE, TOP]) == {
        "CONFIG_SMP": "y",
        "CONFIG_NR_CPUS": "16",
        "CONFIG_KASAN": "n",
        "CONFIG_KCSAN": "y",
    }
    assert merge([TOP, BASE])["CONFIG_KASAN"] == "y"


def test_what_is_written_is_read_again() -> None:
    options = {**merge([BASE, TOP]), "CONFIG_LOCALVERSION": '"-debug"'}
    assert parse_config(config_text(options)) == options
    assert "# CONFIG_KASAN is not set\n" in config_text(options)


@pytest.mark.parametrize("line", ["CONFIG_SMP", "SMP=y", "CONFIG_SMP = y", "config_smp=y"])
def test_a_line_that_sets_nothing_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=r"bad.config:2: .* sets no option"):
        merge([Fragment("bad", f"# text\n{line}\n")])


def test_an_option_set_twice_is_refused() -> None:
    text = "CONFIG_SMP=y\n# CONFIG_SMP is not set\n"
    with pytest.raises(ConfigError, match=r"bad.config:2: CONFIG_SMP is set twice"):
        merge([Fragment("bad", text)])


def test_everything_that_was_lost_is_named() -> None:
    wanted = {"CONFIG_A": "y", "CONFIG_B": "m", "CONFIG_C": "y", "CONFIG_D": "n", "CONFIG_E": "n"}
    found = lost(wanted, "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_E=y\n")
    with pytest.raises(ConfigError) as caught:
        refuse_lost(found)
    assert caught.value.what.splitlines()[1:] == [
        "CONFIG_B should be m and is y",
        "CONFIG_C should be y and is n",
        "CONFIG_E should be n and is y",
    ]
    refuse_lost(lost(wanted, "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=y\n# CONFIG_E is not set\n"))


@pytest.mark.parametrize("kernel", BUILT_KERNELS, ids=lambda kernel: kernel.name)
def test_fragments_of_the_lab_can_be_put_together(kernel: Kernel) -> None:
    options = merge([read_fragment(name) for name in kernel.fragments])
    assert options["CONFIG_VIRTIO_BLK"] == "y"
    assert options["CONFIG_NR_CPUS"] == str(kernel.most_cpus)
    both = {options.get("CONFIG_KASAN", "n"), options.get("CONFIG_KCSAN", "n")}
    assert both == ({"y", "n"} if kernel.is_debug else {"n"})
    # Options inside "if KASAN" are lost without it, and that is an error when it is built.
    parts = [name for name in options if name.startswith("CONFIG_KASAN_")]
    assert bool(parts) is ("CONFIG_KASAN" in options)
    assert (options.get("CONFIG_PROVE_LOCKING") == "y") is kernel.is_debug
