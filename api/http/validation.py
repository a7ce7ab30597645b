"""How does a validation error of pydantic become an error of the API that names the field?"""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from api.http.json_path import path_of, shortened
from domain.errors import Invalid

EXPECTED_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "an array",
}

JSON_TYPES: Mapping[str, str] = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "dict": "an object",
    "list": "an array",
    "NoneType": "null",
}
"""The JSON names of Python's types."""


class RequestPart(BaseModel):
    """A part of a request: types are not converted, unknown fields are ignored, null means the same as absent.

    Its validator is built at its first use: instances that run activities alone never need one.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, defer_build=True)
    null_is_absent: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def without_nulls(cls, value: Any) -> Any:
        if not (cls.null_is_absent and isinstance(value, dict)):
            return value
        members = cast("dict[str, Any]", value)
        return {name: member for name, member in members.items() if member is not None}


def validated[P: RequestPart](model: type[P], value: Any, *path: str | int) -> P:
    """Read the value at `path` of the request; raises Invalid naming the first field that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        steps = (*path, *(step for step in first["loc"] if not is_tag(step)))
        raise invalid(shortened(path_of(steps)), first["type"], first["msg"], first["input"]) from None


def is_tag(step: str | int) -> bool:
    """Return whether pydantic added the step: the tag of a key or of a union member."""
    return isinstance(step, str) and step.startswith("[")


def invalid(path: str, problem: str, message: str, value: Any) -> Invalid:
    if problem == "missing":
        return Invalid(f"Missing required parameter: '{path}'.", field=path, code="missing_required_parameter")
    if problem in EXPECTED_TYPES:
        return wrong_type(path, EXPECTED_TYPES[problem], value)
    reason = message[:1].lower() + message[1:]
    return Invalid(f"Invalid '{path}': {reason}.", field=path, code="invalid_value")


def wrong_type(path: str, expected: str, value: Any) -> Invalid:
    actual = JSON_TYPES[value.__class__.__name__]
    message = f"Invalid type for '{path}': expected {expected}, but got {actual} instead."
    return Invalid(message, field=path, code="invalid_type")
