"""Which functions may the model call, and which output format must it use?"""

from collections.abc import Mapping
from copy import replace
from enum import StrEnum
from typing import Any, Final, Self

from msgspec import Struct, field

from domain.content.capabilities import Capability
from domain.content.custom_tools import CustomInput, ToolNamespace, flat_name, offered_name

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


class FunctionTool(Struct, frozen=True, kw_only=True):
    """One function that the caller runs; `parameters` is a JSON schema, None where the caller gave none.

    `custom` is set where the caller declared a custom tool, `namespace` where the tool is in one. A function that the
    server runs is a tool of the server with the label `server`; it `writes` or only reads, and each of its calls may
    need an approval. `target` is a hash of where and how it is called.
    """

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    custom: CustomInput | None = None
    namespace: ToolNamespace | None = None
    server: str = ""
    writes: bool = False
    needs_approval: bool = False
    target: str = ""

    @property
    def flat_name(self) -> str:
        """The name that a backend knows, unique among the tools of a request."""
        if self.server:
            return offered_name(self.name, self.server)
        return flat_name(self.name, self.namespace.name if self.namespace else "")

    @property
    def full_description(self) -> str | None:
        """The description for a model, with that of the namespace and with the form of a custom tool's input."""
        group = f"{self.namespace.name}: {self.namespace.description}" if self.namespace else ""
        parts = (group, self.description, self.custom.instructions if self.custom else "")
        return "\n".join(part for part in parts if part) or None

    def to_document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "parameters": None if self.parameters is None else dict(self.parameters),
            "strict": self.strict,
            **({"custom": self.custom.to_document()} if self.custom else {}),
            **({"namespace": self.namespace.to_document()} if self.namespace else {}),
            **({"server": self.server} if self.server else {}),
            **({"writes": True} if self.writes else {}),
            **({"needs_approval": True} if self.needs_approval else {}),
            **({"target": self.target} if self.target else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            name=body["name"],
            description=body.get("description"),
            parameters=body.get("parameters"),
            strict=body.get("strict"),
            custom=CustomInput.from_document(body["custom"]) if body.get("custom") else None,
            namespace=ToolNamespace.from_document(body["namespace"]) if body.get("namespace") else None,
            server=body.get("server", ""),
            writes=body.get("writes", False),
            needs_approval=body.get("needs_approval", False),
            target=body.get("target", ""),
        )


class OfferedServer(Struct, frozen=True, kw_only=True):
    """A server whose tools the turn may call. `request` is the caller's own object, without secrets.

    `tools` is the list of the offered tools as JSON, and `problem` tells why there are none. `is_new`: the thread has
    not seen this list yet.
    """

    label: str
    request: Mapping[str, Any]
    tools: str = "[]"
    problem: str = ""
    is_new: bool = True

    def to_document(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "request": dict(self.request),
            "tools": self.tools,
            "problem": self.problem,
            "is_new": self.is_new,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            label=body["label"],
            request=body["request"],
            tools=body["tools"],
            problem=body["problem"],
            is_new=body["is_new"],
        )


class OutputFormat(Struct, frozen=True, kw_only=True):
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


class ToolConfig(Struct, frozen=True, kw_only=True):
    """Which outputs are allowed.

    `allowed_names` are the flat names of the functions that may be called (empty: all of them). `must_call_one` is true
    where the caller requires a call of one named function. `images` is the number of images in the input and its
    history, `image_addresses` the number of those in the input that are named by an address. `servers` run those
    of the functions that have a `server`, `max_tool_calls` of them at most. Requests for an approval can be answered
    for `approval_s` seconds. `is_tainted`: what the model reads has results of servers that are not trusted.
    """

    functions: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = ToolChoice.AUTO
    allowed_names: tuple[str, ...] = ()
    must_call_one: bool = False
    parallel: bool = True
    format: OutputFormat = field(default_factory=OutputFormat)
    images: int = 0
    image_addresses: int = 0
    servers: tuple[OfferedServer, ...] = ()
    max_tool_calls: int | None = None
    approval_s: float = 0.0
    is_tainted: bool = False

    @property
    def callable_functions(self) -> tuple[FunctionTool, ...]:
        """The functions that the model may call in this turn."""
        if self.tool_choice is ToolChoice.NONE:
            return ()
        return tuple(each for each in self.functions if not self.allowed_names or each.flat_name in self.allowed_names)

    @property
    def required_capabilities(self) -> frozenset[Capability]:
        """The capabilities that the model must have."""
        calls = {Capability.TOOLS} if self.callable_functions else set[Capability]()
        formed = {Capability.JSON_SCHEMA} if self.format.kind is not OutputFormatKind.TEXT else set[Capability]()
        seen = {Capability.VISION} if self.images else set[Capability]()
        addressed = {Capability.IMAGE_ADDRESS} if self.image_addresses else set[Capability]()
        return frozenset(calls | formed | seen | addressed)

    def named(self, call: "FunctionCall") -> "FunctionCall":
        """Return a call of a backend under the caller's name of the function; an unknown name is kept."""
        function = next((each for each in self.functions if each.flat_name == call.name), None)
        if function is None:
            return call
        namespace, is_custom = function.namespace.name if function.namespace else "", function.custom is not None
        return replace(call, name=function.name, namespace=namespace, is_custom=is_custom, server=function.server)

    def may_call(self, call: "FunctionCall") -> bool:
        """Tell whether a call of a server's tool is one of those that are offered now."""
        return any((each.server, each.name) == (call.server, call.name) for each in self.callable_functions)

    def function_of(self, server: str, name: str) -> FunctionTool | None:
        """Return an offered tool of a server, whether or not it may be called now."""
        of_server = (each for each in self.functions if each.server and each.server == server)
        return next((each for each in of_server if each.name == name), None)

    def after_rounds(self, rounds: int) -> "ToolConfig":
        """Return the tools after so many rounds of calls. The caller requires a call in the first round only.

        A restriction to some tools remains, unless it is part of that requirement.
        """
        if not rounds or self.tool_choice is not ToolChoice.REQUIRED:
            return self
        return replace(
            self,
            tool_choice=ToolChoice.AUTO,
            must_call_one=False,
            allowed_names=() if self.must_call_one else self.allowed_names,
        )

    def to_document(self) -> dict[str, Any]:
        return {
            "functions": [each.to_document() for each in self.functions],
            "choosing": self.tool_choice.value,
            "only": list(self.allowed_names),
            "single": self.must_call_one,
            "parallel": self.parallel,
            "format": self.format.to_document(),
            "images": self.images,
            **({"image_addresses": self.image_addresses} if self.image_addresses else {}),
            **({"servers": [each.to_document() for each in self.servers]} if self.servers else {}),
            **({} if self.max_tool_calls is None else {"max_tool_calls": self.max_tool_calls}),
            **({"approval_s": self.approval_s} if self.approval_s else {}),
            **({"tainted": True} if self.is_tainted else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            functions=tuple(FunctionTool.from_document(each) for each in body["functions"]),
            tool_choice=ToolChoice(body["choosing"]),
            allowed_names=tuple(body["only"]),
            must_call_one=body["single"],
            parallel=body["parallel"],
            format=OutputFormat.from_document(body["format"]),
            images=body.get("images", 0),
            image_addresses=body.get("image_addresses", 0),
            servers=tuple(OfferedServer.from_document(each) for each in body.get("servers", ())),
            max_tool_calls=body.get("max_tool_calls"),
            approval_s=body.get("approval_s", 0.0),
            is_tainted=body.get("tainted", False),
        )


class FunctionCall(Struct, frozen=True, kw_only=True):
    """One function call of the model; `arguments` is JSON, also where the tool `is_custom`."""

    name: str
    arguments: str
    call_id: str = ""
    namespace: str = ""
    is_custom: bool = False
    server: str = ""
