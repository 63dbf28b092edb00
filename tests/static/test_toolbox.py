"""Which root a module is compiled in on this host."""

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.image import BUILT_KERNELS, KERNELS, Kernel, Recipe, Toolbox, kernel_build
from lab.static import compiler_toolbox, toolbox


@pytest.mark.parametrize("kernel", KERNELS + BUILT_KERNELS, ids=lambda kernel: kernel.name)
def test_headers_come_from_a_package_where_the_lab_does_not_build_the_kernel(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Recipe] = []

    def unpack(recipe: Recipe, *_: object) -> Toolbox:
        asked.append(recipe)
        return Toolbox(tmp_path)

    for module in (toolbox, kernel_build):
        monkeypatch.setattr(module, "unpack_toolbox", unpack)
    compiler_toolbox(kernel, Cache(tmp_path))
    (recipe,) = asked
    assert recipe.kernel.suite == kernel.suite
    assert (toolbox.HEADERS in recipe.packages) is not bool(kernel.source)
    assert not kernel.source or kernel.source in recipe.packages
