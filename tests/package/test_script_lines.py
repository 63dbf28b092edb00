"""The lines of script of a rendered pipeline, run as they stand in a fresh copy of the checkout."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from lab.ci.render import SHARDS, Service, render

from .copies import copy_checkout, said

pytestmark = [pytest.mark.package, pytest.mark.guest, pytest.mark.timeout(3600)]

KERNEL = "6.1"
SCENARIOS = {"abi/unknown", "overflow/tiny-storage"}
LIMIT = 3000.0


def lines(job: str) -> list[str]:
    """What a job of GitHub's pipeline runs; GitLab's has the same lines, see tests/ci."""
    steps = yaml.safe_load(render(Service.GITHUB))["jobs"][job]["steps"]
    return [step["run"] for step in steps if "run" in step]


def test_the_jobs_of_a_pipeline_do_their_work(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_checkout(copy)
    kept = tmp_path / "environment"
    fixed = {
        "KERNEL": KERNEL,
        "SCENARIOS": " ".join(SCENARIOS),
        "GITHUB_ENV": str(kept),
        "GITHUB_WORKSPACE": str(copy),
    }
    for line in lines("build"):
        told = said("bash", "-ec", line, folder=copy, limit=LIMIT, **fixed)
    assert f"kernel_release: {KERNEL}." in told
    # The services keep the cache there; this test uses the usual one, in which much is.
    assert kept.read_text() == f"BLKSNAP_LAB_CACHE={copy}/.cache/blksnap-lab\n"
    ran: list[str] = []
    reported: list[str | None] = []
    for number in range(1, SHARDS + 1):
        for line in lines("scenarios"):
            shard = f"{number}/{SHARDS}"
            told = said("bash", "-ec", line, folder=copy, limit=LIMIT, SHARD=shard, **fixed)
        if "has nothing to run, the others have all 2 scenarios" in told:
            continue
        assert "green: 1 passed" in told
        results = json.loads((copy / "results/latest/run.json").read_text())["results"]
        ran += [result["name"] for result in results]
        cases = ET.parse(copy / "results/junit.xml").getroot().iter("testcase")
        reported += [f"{case.get('classname')}/{case.get('name')}" for case in cases]
    assert sorted(ran) == sorted(SCENARIOS)
    assert reported == ran
