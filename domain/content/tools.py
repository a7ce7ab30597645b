"""Which functions may the model call, and which output format must it use?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from domain.content.capabilities import Capability

ANYTHING: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}
"""The JSON schema for a function without declared parameters."""


class ToolChoice(StrEnum):
    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


class OutputFormatKind(StrEnum):
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTool:
    """One function that the caller runs; `parameters` is a JSON schema, None where the caller gave none."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None

    def to_document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "parameters": None if self.parameters is None else dict(self.parameters),
            "strict": self.strict,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            name=body["name"],
            description=body.get("description"),
            parameters=body.get("parameters"),
            strict=body.get("strict"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """The required output: any text, any JSON object, or JSON that matches a schema."""

    kind: OutputFormatKind = OutputFormatKind.TEXT
    name: str = ""
    schema: Mapping[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "name": self.name,
            "schema": None if self.schema is None else dict(self.schema),
            "description": self.description,
            "strict": self.strict,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            kind=OutputFormatKind(body["kind"]),
            name=body["name"],
            schema=body["schema"],
            description=body["description"],
            strict=body["strict"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolConfig:
    """Which outputs are allowed. `only` names the functions that may be called (empty: all of them). `single` is true
    where the caller requires a call of one named function. `images` is the number of images in the input.
    """

    functions: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = ToolChoice.AUTO
    only: tuple[str, ...] = ()
    single: bool = False
    parallel: bool = True
    format: OutputFormat = field(default_factory=OutputFormat)
    images: int = 0

    @property
    def callable_functions(self) -> tuple[FunctionTool, ...]:
        """The functions that the model may call in this turn."""
        if self.tool_choice is ToolChoice.NONE:
            return ()
        return tuple(each for each in self.functions if not self.only or each.name in self.only)

    @property
    def needs(self) -> frozenset[Capability]:
        """The capabilities that the model must have."""
        calls = {Capability.TOOLS} if self.callable_functions else set[Capability]()
        formed = {Capability.JSON_SCHEMA} if self.format.kind is not OutputFormatKind.TEXT else set[Capability]()
        seen = {Capability.VISION} if self.images else set[Capability]()
        return frozenset(calls | formed | seen)

    def to_document(self) -> dict[str, Any]:
        return {
            "functions": [each.to_document() for each in self.functions],
            "choosing": self.tool_choice.value,
            "only": list(self.only),
            "single": self.single,
            "parallel": self.parallel,
            "format": self.format.to_document(),
            "images": self.images,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            functions=tuple(FunctionTool.from_document(each) for each in body["functions"]),
            tool_choice=ToolChoice(body["choosing"]),
            only=tuple(body["only"]),
            single=body["single"],
            parallel=body["parallel"],
            format=OutputFormat.from_document(body["format"]),
            images=body.get("images", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """One function call of the model; `arguments` is JSON."""

    name: str
    arguments: str
    call_id: str = ""
