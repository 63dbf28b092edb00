"""Static checks of the kernel module, on the host: sparse, W=1, gcc -fanalyzer, checkpatch."""

from lab.static.checkers import check_module
from lab.static.findings import Checker, Finding, Judgement, Review, judge, read_reviews
from lab.static.toolbox import compiler_toolbox, prepare_toolbox

__all__ = [
    "Checker",
    "Finding",
    "Judgement",
    "Review",
    "check_module",
    "compiler_toolbox",
    "judge",
    "prepare_toolbox",
    "read_reviews",
]
