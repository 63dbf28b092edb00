"""The pipelines of GitHub Actions and GitLab CI, from one template and the matrix of kernels.

The lines of script are the same in both, and are those that anybody can run in a checkout. Guest
images are cached under the digest of their recipe, the key that they have in the lab's own cache;
in what is cached each module lies under its digest in turn, so that nothing stale is ever used.
"""

from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path

import jinja2

from lab.image import KERNELS, Kernel, Recipe

TEMPLATE = "pipeline.yml.j2"
SHARDS = 4
"""Machines for each kernel."""
# Kernels that the tests need guests of (tests/guest/test_matrix.py); the others are for scenarios.
TESTED = ("6.1", "6.12")
OWN = (
    *["6.1-debug", "6.1-kcsan", "6.1-patched", "6.1-patched-debug"],
    *["6.12-debug", "6.12-patched"],
)
"""Kernels of the lab that scenarios run on, once a week."""


class Service(StrEnum):
    """Who runs the pipeline."""

    GITHUB = "github"
    GITLAB = "gitlab"


FILES = {
    Service.GITHUB: Path(".github/workflows/ci.yml"),
    Service.GITLAB: Path(".gitlab-ci.yml"),
}
"""Where in a repository each service looks for its pipeline."""


@dataclass(frozen=True)
class Guest:
    """A kernel of the matrix, and the key of its guest's image in the cache."""

    kernel: str
    image: str


def render(service: Service, kernels: tuple[Kernel, ...] = KERNELS, shards: int = SHARDS) -> str:
    """The text of a pipeline."""
    text = resources.files("lab.ci").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Both services have braces of their own.
        variable_start_string="<<",
        variable_end_string=">>",
        autoescape=False,
    )
    guests = [Guest(kernel.name, Recipe(kernel).key) for kernel in kernels]
    return environment.from_string(text).render(
        service=service.value,
        guests=guests,
        own_kernels=OWN,
        tested=[guest for guest in guests if guest.kernel in TESTED],
        shards=[f"{number}/{shards}" for number in range(1, shards + 1)],
    )
