"""The pipelines run every kernel of the matrix, by the scripts that anybody can run."""

from pathlib import Path

import yaml

from lab.image import KERNELS

CHECKOUT = Path(__file__).resolve().parent.parent
NAMES = [kernel.name for kernel in KERNELS]


def test_github_runs_the_scenarios_on_every_kernel() -> None:
    jobs = yaml.safe_load((CHECKOUT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["scenarios"]["strategy"]["matrix"]["kernel"] == NAMES
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    _are_scripts_of_ours(commands)


def test_gitlab_runs_the_scenarios_on_every_kernel() -> None:
    jobs = yaml.safe_load((CHECKOUT / ".gitlab-ci.yml").read_text())
    assert jobs["scenarios"]["parallel"]["matrix"] == [{"KERNEL": NAMES}]
    _are_scripts_of_ours([line for job in jobs.values() for line in job.get("script", ())])


def _are_scripts_of_ours(commands: list[str]) -> None:
    assert {command.split()[0] for command in commands} == {"ci/test", "ci/scenarios"}
    assert all((CHECKOUT / command.split()[0]).is_file() for command in commands)
