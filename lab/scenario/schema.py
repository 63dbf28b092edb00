"""The JSON Schema of scenario files, for editors."""

from __future__ import annotations

from typing import Any

from lab.scenario.scenario import Scenario
from lab.scenario.step import VERBS
from lab.scenario.variant import with_choices


def json_schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) that accepts what the scenario models accept.

    What only the checks of names and places can know (undeclared devices, ranges beyond the end)
    is not in it.
    """
    schema = Scenario.model_json_schema()
    step = schema["$defs"]["Step"]
    for verb in VERBS:
        field = step["properties"][verb]
        reference = next(part for part in field["anyOf"] if "$ref" in part)
        definition = schema["$defs"][reference["$ref"].rpartition("/")[2]]
        bare = [{"type": "null"}] if not definition.get("required") else []
        step["properties"][verb] = {
            "anyOf": [reference, *bare],
            "description": definition.get("description", ""),
        }
    step["oneOf"] = [{"required": [verb]} for verb in VERBS]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "blksnap-lab scenario"
    chosen: dict[str, Any] = with_choices(schema)
    return chosen
