"""The JSON Schema that editors use: complete, and no stricter or laxer than the models."""

from __future__ import annotations

import json

from lab.scenario.schema import json_schema
from lab.scenario.step import NO_VERBS, VERBS, Step


def test_it_is_json_and_names_every_verb() -> None:
    schema = json.loads(json.dumps(json_schema()))
    step = schema["$defs"]["Step"]
    assert set(step["properties"]) == {*NO_VERBS, *VERBS}
    assert step["oneOf"] == [{"required": [verb]} for verb in VERBS]
    assert step["additionalProperties"] is False


def test_every_reference_leads_somewhere() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    wanted = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert wanted <= set(schema["$defs"])


def test_every_field_of_every_model_says_what_it_is() -> None:
    silent = [
        f"{model}.{name}"
        for model, definition in json_schema()["$defs"].items()
        if definition.get("type") == "object"
        for name, field in definition["properties"].items()
        if not field.get("description")
    ]
    assert silent == []


def test_a_verb_that_needs_nothing_may_stand_alone() -> None:
    step = json_schema()["$defs"]["Step"]["properties"]
    assert {"type": "null"} in step["take"]["anyOf"]
    assert {"type": "null"} not in step["write"]["anyOf"]
    assert Step.model_validate({"take": None}).verb == "take"
