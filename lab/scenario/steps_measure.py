"""The verb that measures what the module costs."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from lab.scenario.values import Model


class Measured(StrEnum):
    """What is measured: the speed of an operation while nothing, or the module, is in its way."""

    BARE = "bare"
    BARE_READ = "bare_read"
    HOOKED = "hooked"
    TRACKED = "tracked"
    TRACKED_READ = "tracked_read"
    FIRST = "first"
    REWRITE = "rewrite"
    TRANSIENT_FIRST = "transient_first"
    TRANSIENT_AGAIN = "transient_again"
    ORIGINAL = "original"
    IMAGE = "image"
    IMAGE_COPIED = "image_copied"
    ORIGINAL_CACHED = "original_cached"
    IMAGE_CACHED = "image_cached"
    TAKE_SMALL = "take_small"
    TAKE_LARGE = "take_large"


CACHED = frozenset({Measured.ORIGINAL_CACHED, Measured.IMAGE_CACHED})


class SpeedRatio(Model):
    """The speed of one thing as a multiple of another's, measured in the same round."""

    of: Measured = Field(description="Whose speed; states of lab/bench/figures.py.")
    to: Measured = Field(description="Whose speed is 1.")
    at_least: float | None = Field(
        None, gt=0, description="Less is a failure; generous, as a figure is no rule."
    )


class Measure(Model):
    """Measure speeds on disks that move no data, and report their ratios (random, sequential).

    The module is unloaded meanwhile, and loaded again. Meant for a guest with `icount: true`.
    """

    ratios: tuple[SpeedRatio, ...] = Field(min_length=1, description="What is compared.")
    rounds: int = Field(2, ge=1, le=100, description="Rounds; the median of them counts.")
    depth: int = Field(
        1,
        ge=1,
        le=64,
        description="Requests under way at a time. Of what is in the page cache there are none.",
    )

    @model_validator(mode="after")
    def _queued(self) -> Measure:
        measured = {state for ratio in self.ratios for state in (ratio.of, ratio.to)}
        if self.depth > 1 and measured & CACHED:
            raise ValueError("reads from the page cache are not queued: no `depth` with them")
        return self
