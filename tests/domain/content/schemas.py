"""Does a JSON schema allow a value? Reads the keywords that our schemas have."""

from typing import Any, cast

KINDS: dict[str, type] = {"object": dict, "array": list, "string": str, "integer": int}


def allows(schema: dict[str, Any], value: Any, root: dict[str, Any] | None = None) -> bool:
    top = root or schema
    if "$ref" in schema:
        place: Any = top
        for step in schema["$ref"].split("/")[1:]:
            place = place[step]
        return allows(place, value, top)
    checks = (
        "const" not in schema or schema["const"] == value,
        "anyOf" not in schema or any(allows(each, value, top) for each in schema["anyOf"]),
        "type" not in schema or isinstance(value, KINDS[schema["type"]]),
    )
    if not all(checks):
        return False
    return (
        allows_object(schema, cast("dict[str, Any]", value), top)
        if isinstance(value, dict)
        else allows_array(schema, value, top)
    )


def allows_object(schema: dict[str, Any], value: dict[str, Any], root: dict[str, Any]) -> bool:
    known: dict[str, Any] = schema.get("properties", {})
    whole = all(name in value for name in schema.get("required", ()))
    closed = schema.get("additionalProperties", True) or set(value) <= set(known)
    return whole and closed and all(allows(known[name], each, root) for name, each in value.items() if name in known)


def allows_array(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    if not isinstance(value, list):
        return True
    elements = cast("list[Any]", value)
    within = schema.get("minItems", 0) <= len(elements) <= schema.get("maxItems", len(elements))
    return within and all(allows(schema.get("items", {}), each, root) for each in elements)
