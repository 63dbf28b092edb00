"""What a shell may complete: names of scenarios and groups, rules; kernels are in options.

Quick, and silent whatever is wrong: the names are those of the files, which are not read.
"""

from lab.cli.options import SCENARIOS
from lab.contract import contract
from lab.scenario.load import find_scenarios, scenario_name


def scenarios(incomplete: str) -> list[str]:
    """Names of groups; of scenarios, once the group is there."""
    group = incomplete.partition("/")[0]
    if group not in groups(group):
        return groups(incomplete)
    names = [scenario_name(path, SCENARIOS) for path in find_scenarios(SCENARIOS / group)]
    return [name for name in names if name.startswith(incomplete)]


def groups(incomplete: str) -> list[str]:
    """Names of groups."""
    found = sorted(path.name for path in SCENARIOS.iterdir() if path.is_dir())
    return [name for name in found if name.startswith(incomplete)]


def rules(incomplete: str) -> list[str]:
    """Rules and traps of the contract."""
    return [rule for rule in contract() if rule.startswith(incomplete)]
