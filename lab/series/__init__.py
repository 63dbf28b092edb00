"""The module as a patch series for a kernel tree, made from the module's own sources."""

from lab.series.plan import FOLDER as SERIES_FOLDER
from lab.series.plan import Plan, read_plan
from lab.series.render import has_series, render_series
from lab.series.store import drifted, is_kept_series, stored_series, write_series

__all__ = [
    "SERIES_FOLDER",
    "Plan",
    "drifted",
    "has_series",
    "is_kept_series",
    "read_plan",
    "render_series",
    "stored_series",
    "write_series",
]
