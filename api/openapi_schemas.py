"""Which shapes does the OpenAPI document name?"""

from collections.abc import Mapping
from functools import cache
from typing import Any, override

from pydantic.json_schema import GenerateJsonSchema

from api.endpoints.compaction import NOT_ASKED
from api.http.validation import RequestPart
from api.parsing.chat_request import ChatRequest
from api.parsing.conversation_request import AddedItems, ChangedMetadata, NewConversation
from api.parsing.responses_request import ResponseRequest

type Json = dict[str, Any]

ERROR = "Error"
REFERENCE = "#/components/schemas/{model}"


def reference(name: str) -> Json:
    return {"$ref": REFERENCE.format(model=name)}


def object_with(required: tuple[str, ...] = (), **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def constant(value: str) -> Json:
    return {"type": "string", "const": value}


TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
SWITCH: Json = {"type": "boolean"}
ANY_OBJECT: Json = {"type": "object"}

RESPONSE_KEYS = (
    "id object created_at completed_at status incomplete_details model previous_response_id instructions output error "
    "tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs "
    "temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata "
    "safety_identifier prompt_cache_key"
)

ANSWERS: Mapping[str, Json] = {
    "Object": ANY_OBJECT,
    ERROR: object_with(
        ("error",),
        error=object_with(
            ("message", "type", "param", "code"),
            message=TEXT,
            type=TEXT,
            param=or_null(TEXT),
            code=or_null(TEXT),
        ),
    ),
    "Response": object_with(tuple(RESPONSE_KEYS.split()), id=TEXT, object=constant("response"), status=TEXT),
    "Compaction": object_with(
        ("id", "object", "created_at", "output", "usage"), id=TEXT, object=constant("response.compaction")
    ),
    "InputTokens": object_with(
        ("object", "input_tokens"), object=constant("response.input_tokens"), input_tokens=WHOLE
    ),
    "Deleted": object_with(("id", "object", "deleted"), id=TEXT, object=TEXT, deleted=SWITCH),
    "List": object_with(
        ("object", "data", "has_more", "first_id", "last_id"),
        object=constant("list"),
        data={"type": "array", "items": ANY_OBJECT},
        has_more=SWITCH,
        first_id=TEXT,
        last_id=TEXT,
    ),
    "Item": object_with(("type", "id"), type=TEXT, id=TEXT),
    "Conversation": object_with(
        ("id", "object", "created_at", "metadata"),
        id=TEXT,
        object=constant("conversation"),
        created_at=WHOLE,
        metadata=reference("Metadata"),
    ),
    "ChatCompletion": object_with(
        ("id", "object", "created", "model", "choices", "usage"), id=TEXT, object=constant("chat.completion")
    ),
    "Models": object_with(("object", "data"), object=constant("list"), data={"type": "array", "items": ANY_OBJECT}),
    "Model": object_with(("id", "object", "created", "owned_by"), id=TEXT, object=constant("model")),
}

REQUESTS: Mapping[str, type[RequestPart]] = {
    "CreateResponse": ResponseRequest,
    "CountTokens": ResponseRequest,
    "CreateChat": ChatRequest,
    "CreateConversation": NewConversation,
    "AddItems": AddedItems,
    "ChangeMetadata": ChangedMetadata,
}


class RequestSchema(GenerateJsonSchema):
    """Leaves out titles: they only repeat the fields' names."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def schemas() -> Mapping[str, Json]:
    """Return every schema of the document by its name; those of requests come from the models that read them."""
    requests: dict[str, Json] = {}
    parts: dict[str, Json] = {}
    for name, model in REQUESTS.items():
        requests[name] = model.model_json_schema(ref_template=REFERENCE, schema_generator=RequestSchema)
        parts |= requests[name].pop("$defs", {})
    return {**ANSWERS, **parts, **requests, "CreateCompaction": compaction(requests["CreateResponse"])}


def compaction(response: Json) -> Json:
    """Return the schema of a request to compact: that of a response, without what it has no use for."""
    used = {name: schema for name, schema in response["properties"].items() if name not in NOT_ASKED}
    return object_with(("model",), **{**used, "model": reference("ModelName")})
