"""Which shapes does the OpenAPI document name?"""

from collections.abc import Mapping
from typing import Any

from api.parsing.input_items import ITEMS_LIMIT
from api.parsing.tools import MOST_FUNCTIONS

type Json = dict[str, Any]

ERROR = "Error"


def reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


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
MODEL: Json = {"type": "string", "minLength": 1, "maxLength": 200}
METADATA: Json = {
    "type": "object",
    "maxProperties": 16,
    "propertyNames": {"minLength": 1, "maxLength": 64},
    "additionalProperties": {"type": "string", "maxLength": 512},
}
LIMIT: Json = {"type": "integer", "minimum": 1, "maximum": 10_000_000}
TEMPERATURE: Json = {"type": "number", "minimum": 0, "maximum": 2}
TOP_P: Json = {"type": "number", "minimum": 0, "maximum": 1}
TOOLS: Json = {"type": "array", "items": ANY_OBJECT, "maxItems": MOST_FUNCTIONS}
CHOICE: Json = {"anyOf": [{"type": "string", "enum": ["auto", "none", "required"]}, ANY_OBJECT]}
INPUT: Json = {"anyOf": [TEXT, {"type": "array", "items": ANY_OBJECT, "minItems": 1, "maxItems": ITEMS_LIMIT}]}
IDENTIFIER: Json = {"type": "string", "minLength": 1, "maxLength": 200}

RESPONSE_KEYS = (
    "id object created_at completed_at status incomplete_details model previous_response_id instructions output error "
    "tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs "
    "temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata "
    "safety_identifier prompt_cache_key"
)

ASKED: Mapping[str, Json] = {
    "model": or_null(MODEL),
    "input": or_null(INPUT),
    "instructions": or_null(TEXT),
    "previous_response_id": or_null(IDENTIFIER),
    "tools": or_null(TOOLS),
    "tool_choice": or_null(CHOICE),
    "parallel_tool_calls": or_null(SWITCH),
    "text": or_null(ANY_OBJECT),
    "truncation": or_null({"type": "string", "enum": ["auto", "disabled"]}),
    "conversation": or_null({"anyOf": [IDENTIFIER, object_with(("id",), id=IDENTIFIER)]}),
}

SAMPLED: Mapping[str, Json] = {
    "metadata": or_null(METADATA),
    "store": or_null(SWITCH),
    "stream": or_null(SWITCH),
    "temperature": or_null(TEMPERATURE),
    "top_p": or_null(TOP_P),
}

ITEMS: Json = {"type": "array", "items": ANY_OBJECT, "maxItems": 20}

SCHEMAS: Mapping[str, Json] = {
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
    "CreateResponse": object_with((), **ASKED, **SAMPLED, background=or_null(SWITCH), max_output_tokens=or_null(LIMIT)),
    "CreateCompaction": object_with(("model",), **{**ASKED, "model": MODEL}),
    "CountTokens": object_with((), **ASKED),
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
        metadata=METADATA,
    ),
    "CreateConversation": object_with((), metadata=or_null(METADATA), items=or_null(ITEMS)),
    "ChangeMetadata": object_with(("metadata",), metadata=or_null(METADATA)),
    "AddItems": object_with(("items",), items={**ITEMS, "minItems": 1}),
    "ChatCompletion": object_with(
        ("id", "object", "created", "model", "choices", "usage"), id=TEXT, object=constant("chat.completion")
    ),
    "CreateChat": object_with(
        ("messages",),
        messages={"type": "array", "items": ANY_OBJECT, "minItems": 1, "maxItems": ITEMS_LIMIT},
        model=MODEL,
        tools=or_null(TOOLS),
        tool_choice=or_null(CHOICE),
        parallel_tool_calls=or_null(SWITCH),
        max_tokens=or_null(LIMIT),
        max_completion_tokens=or_null(LIMIT),
        stream_options=or_null(ANY_OBJECT),
        response_format=or_null(ANY_OBJECT),
        **SAMPLED,
    ),
    "Models": object_with(("object", "data"), object=constant("list"), data={"type": "array", "items": ANY_OBJECT}),
    "Model": object_with(("id", "object", "created", "owned_by"), id=TEXT, object=constant("model")),
}
