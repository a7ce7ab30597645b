"""Which schemas does the OpenAPI document define?"""

from collections.abc import Mapping
from functools import cache
from typing import Any, override

from pydantic.json_schema import GenerateJsonSchema

from api.approvals.items import ApprovalResponseInput
from api.batches.batch_body import BatchBody
from api.endpoints.compaction import UNUSED_FIELDS
from api.http.validation import RequestPart
from api.parsing.chat_request import ChatRequest
from api.parsing.conversation_request import MetadataChange, NewConversation, NewItems
from api.parsing.limit_request import LimitsChange
from api.parsing.responses_request import ResponseRequest
from domain.batches.batch import ENDPOINTS, BatchStatus
from domain.files.stored_file import PURPOSES

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


STRING: Json = {"type": "string"}
INTEGER: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
BOOLEAN: Json = {"type": "boolean"}
ANY_OBJECT: Json = {"type": "object"}
OBJECTS: Json = {"type": "array", "items": ANY_OBJECT}

RESPONSE_KEYS = (
    "id object created_at completed_at status incomplete_details model previous_response_id instructions output error "
    "tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs "
    "temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata "
    "safety_identifier prompt_cache_key"
)

GPU_PAUSE_KEYS = "round calls backend at reason released_at ends_at starts_at started_at saved_usd waiting_usd late_usd"

RESULTS: Mapping[str, Json] = {
    "Object": ANY_OBJECT,
    ERROR: object_with(
        ("error",),
        error=object_with(
            ("message", "type", "param", "code"),
            message=STRING,
            type=STRING,
            param=or_null(STRING),
            code=or_null(STRING),
        ),
    ),
    "Response": object_with(tuple(RESPONSE_KEYS.split()), id=STRING, object=constant("response"), status=STRING),
    "Compaction": object_with(
        ("id", "object", "created_at", "output", "usage"), id=STRING, object=constant("response.compaction")
    ),
    "InputTokens": object_with(
        ("object", "input_tokens"), object=constant("response.input_tokens"), input_tokens=INTEGER
    ),
    "RouteReport": object_with(
        ("response_id", "route", "routes", "attempts", "sources", "timeline", "runs", "bill", "cost_usd", "budgets"),
        response_id=STRING,
        route=or_null(ANY_OBJECT),
        **dict.fromkeys(("routes", "attempts", "sources", "timeline", "runs", "budgets"), OBJECTS),
        bill=ANY_OBJECT,
        cost_usd=STRING,
        cache=ANY_OBJECT,
        rounds=INTEGER,
        **dict.fromkeys(("calls", "approvals"), OBJECTS),
        pauses={"type": "array", "items": reference("GpuPause")},
    ),
    "GpuPause": object_with(
        tuple(GPU_PAUSE_KEYS.split()),
        round=INTEGER,
        calls={"type": "array", "items": STRING},
        **dict.fromkeys(("backend", "reason", "saved_usd", "waiting_usd", "late_usd"), STRING),
        at=NUMBER,
        **dict.fromkeys(("released_at", "ends_at", "starts_at", "started_at"), or_null(NUMBER)),
    ),
    "Deleted": object_with(("id", "object", "deleted"), id=STRING, object=STRING, deleted=BOOLEAN),
    "List": object_with(
        ("object", "data", "has_more", "first_id", "last_id"),
        object=constant("list"),
        data={"type": "array", "items": ANY_OBJECT},
        has_more=BOOLEAN,
        first_id=STRING,
        last_id=STRING,
    ),
    "Limits": object_with(
        ("object", "tenant", "data", "changed_at", "changed_by", "in_force_within_s"),
        object=constant("limits"),
        tenant=STRING,
        data={"type": "array", "items": ANY_OBJECT},
        changed_at=or_null({"type": "number"}),
        changed_by=or_null(STRING),
        in_force_within_s={"type": "number"},
    ),
    "Economics": object_with(
        ("object", "published_at", "report"),
        object=constant("economics"),
        published_at=or_null({"type": "number"}),
        report=or_null(ANY_OBJECT),
    ),
    "Item": object_with(("type", "id"), type=STRING, id=STRING),
    "Conversation": object_with(
        ("id", "object", "created_at", "metadata"),
        id=STRING,
        object=constant("conversation"),
        created_at=INTEGER,
        metadata=reference("Metadata"),
    ),
    "WarmUp": object_with(
        ("id", "object", "backend", "status", "sent", "worst_usd"),
        id=STRING,
        object=constant("warm_up"),
        backend=STRING,
        status=STRING,
        sent=BOOLEAN,
        worst_usd=STRING,
    ),
    "ChatCompletion": object_with(
        ("id", "object", "created", "model", "choices", "usage"), id=STRING, object=constant("chat.completion")
    ),
    "File": object_with(
        ("id", "object", "bytes", "created_at", "filename", "purpose", "status"),
        id=STRING,
        object=constant("file"),
        bytes=INTEGER,
        created_at=INTEGER,
        filename=STRING,
        purpose=STRING,
        status=STRING,
    ),
    "Batch": object_with(
        ("id", "object", "endpoint", "input_file_id", "completion_window", "status", "created_at", "request_counts"),
        id=STRING,
        object=constant("batch"),
        endpoint={"type": "string", "enum": list(ENDPOINTS)},
        input_file_id=STRING,
        completion_window=STRING,
        status={"type": "string", "enum": [status.value for status in BatchStatus]},
        created_at=INTEGER,
        request_counts=ANY_OBJECT,
    ),
    "CreateFile": object_with(
        ("file", "purpose"),
        file={"type": "string", "format": "binary"},
        purpose={"type": "string", "enum": list(PURPOSES)},
    ),
    "Models": object_with(("object", "data"), object=constant("list"), data={"type": "array", "items": ANY_OBJECT}),
    "Model": object_with(("id", "object", "created", "owned_by"), id=STRING, object=constant("model")),
}

REQUESTS: Mapping[str, type[RequestPart]] = {
    "CreateResponse": ResponseRequest,
    "CountTokens": ResponseRequest,
    "CreateChat": ChatRequest,
    "CreateBatch": BatchBody,
    "CreateConversation": NewConversation,
    "AddItems": NewItems,
    "DecideApproval": ApprovalResponseInput,
    "ChangeMetadata": MetadataChange,
    "ChangeLimits": LimitsChange,
}


class RequestSchema(GenerateJsonSchema):
    """Omits titles, which only repeat the names of the fields."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def schemas() -> Mapping[str, Json]:
    """Return every schema of the document by its name; request schemas are generated from the request models."""
    requests: dict[str, Json] = {}
    parts: dict[str, Json] = {}
    for name, model in REQUESTS.items():
        requests[name] = model.model_json_schema(ref_template=REFERENCE, schema_generator=RequestSchema)
        parts |= requests[name].pop("$defs", {})
    return {**RESULTS, **parts, **requests, "CreateCompaction": compaction_schema(requests["CreateResponse"])}


def compaction_schema(response: Json) -> Json:
    """Return the schema of a compaction request: that of a response request without the unused fields."""
    used = {name: schema for name, schema in response["properties"].items() if name not in UNUSED_FIELDS}
    return object_with(("model",), **{**used, "model": reference("ModelName")})
