"""The JSON Schema of profile files, for editors and other tools. Host only; pure.

Made from the models, with the bounds that pencore enforces; `docs/profile.schema.json` is this, generated. What ties
several fields together (the budgets' sum, rate against depth, a zone given twice) no schema can say: `pinprick profile
check` does.
"""

import json
from typing import Any

from pencore import limits
from pinprick.profiles.model import ProfileFile
from pinprick.profiles.units import to_mm

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema as JSON values, draft 2020-12."""
    schema = ProfileFile.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    # The model takes a file without zones, so that the count is refused in one place; a right file has some.
    schema["required"].append("zone")
    schema["properties"]["zone"].pop("default", None)
    definitions = schema.pop("$defs")
    definitions["ZoneEntry"]["allOf"] = [_cap_rule(name, cap_um) for name, _, cap_um in limits.AREAS]
    return {
        "$schema": DIALECT,
        "title": "Pinprick session profile",
        "description": schema.pop("description")
        + " A TOML file; depths are commanded protrusion in millimetres, exact to a thousandth.",
        **{key: _untitled(value) for key, value in schema.items() if key != "title"},
        "$defs": {name: _untitled(definition) for name, definition in definitions.items()},
    }


def schema_text() -> str:
    """Return the schema as the text of `docs/profile.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=True) + "\n"


def _cap_rule(area: str, cap_um: int) -> dict[str, Any]:
    """Return the rule "an `area` is no deeper than its cap"."""
    return {
        "if": {"properties": {"area": {"const": area}}, "required": ["area"]},
        "then": {"properties": {"depth_mm": {"maximum": float(to_mm(cap_um))}}},
    }


def _untitled(value: Any) -> Any:
    """Return `value` without the titles that pydantic makes of field names; they say nothing the key does not."""
    if isinstance(value, dict):
        return {key: _untitled(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    return [_untitled(item) for item in value] if isinstance(value, list) else value
