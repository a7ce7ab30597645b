"""Do the worker library and the host understand each other's values?"""

from typing import Any

import pytest

from devhost.worker import protos
from devhost.worker.messages import (
    BoundFunction,
    bound_from_bindings,
    cookie_attribute,
    metadata_value,
    request_from_header,
    result_from_response,
    trigger_data,
    unexpected_error,
)

BOUND = BoundFunction(trigger="req", clients=("client",))
HEADER: dict[str, Any] = {"id": "i", "function": "f", "type": "json", "trace": "00-1", "trace_state": ""}


def response(value: protos.TypedData | None = None, output: protos.TypedData | None = None, **result: Any) -> Any:
    outputs = [protos.ParameterBinding(name="$return", data=output)] if output else []
    status = protos.StatusResult(status=protos.StatusResult.Success, **result)
    return protos.InvocationResponse(result=status, return_value=value, output_data=outputs)


def test_the_parameters_of_a_function_are_found_among_its_bindings() -> None:
    bindings = [
        {"type": "durableClient", "name": "client"},
        {"type": "HttpTrigger", "name": "req"},
        {"type": "http", "name": "$return"},
    ]
    assert bound_from_bindings(bindings) == BOUND


@pytest.mark.parametrize(
    ("kind", "body", "value"), [("string", b"\xc3\xa4", "ä"), ("json", b"[1]", "[1]"), ("bytes", b"\xff", b"\xff")]
)
def test_the_value_of_a_trigger_has_its_type(kind: str, body: bytes, value: str | bytes) -> None:
    found = trigger_data({**HEADER, "type": kind}, body)
    assert (found.kind, getattr(found, kind)) == (kind, value)


def test_a_request_has_its_fields_and_its_body() -> None:
    http = {
        "method": "POST",
        "url": "http://h/a?b=c",
        "headers": {"x-a": "1"},
        "params": {"id": "7"},
        "query": {"b": "c"},
    }
    found: Any = trigger_data({**HEADER, "type": "http", "http": http}, b"\x00body")
    assert (found.http.method, found.http.params, found.http.body.bytes) == ("POST", {"id": "7"}, b"\x00body")
    empty: Any = trigger_data({**HEADER, "type": "http", "http": http}, b"")
    assert empty.http.body.kind is None


def test_an_invocation_has_its_inputs_and_the_address_of_its_durable_client() -> None:
    header = {**HEADER, "metadata": {"Id": "m-1", "Count": 2}}
    found = request_from_header(header, b"{}", BOUND, "http://host/INVOCATIONID").request.invocation_request
    assert [(each.name, getattr(each.data, each.data.kind)) for each in found.input_data] == [
        ("req", "{}"),
        ("client", "http://host/i"),
    ]
    metadata = {name: (value.kind, getattr(value, value.kind)) for name, value in found.trigger_metadata.items()}
    assert metadata == {"Id": ("string", "m-1"), "Count": ("json", "2")}
    assert (found.invocation_id, found.trace_context.trace_parent) == ("i", "00-1")


@pytest.mark.parametrize(
    ("value", "kind", "body"),
    [
        (None, "none", b""),
        (protos.TypedData(), "none", b""),
        (protos.TypedData(string="ä"), "string", "ä".encode()),
        (protos.TypedData(json='{"a": 1}'), "json", b'{"a": 1}'),
        (protos.TypedData(bytes=b"\xff"), "bytes", b"\xff"),
        (protos.TypedData(int=True), "int", b"1"),
        (protos.TypedData(double=0.5), "double", b"0.5"),
    ],
)
def test_a_result_has_the_type_of_its_value(value: protos.TypedData | None, kind: str, body: bytes) -> None:
    header, found = result_from_response("i", response(value))
    assert (header, found) == ({"kind": "result", "id": "i", "ok": True, "type": kind}, body)


def http_answer() -> protos.TypedData:
    cookie = protos.RpcHttpCookie(
        name="c",
        value="v",
        domain=protos.NullableString(value="h"),
        path=None,
        expires=protos.NullableTimestamp(value=protos.Timestamp(seconds=7)),
        secure=protos.NullableBool(value=True),
        http_only=None,
        max_age=protos.NullableDouble(value=0.5),
        same_site=2,
    )
    content = protos.TypedData(bytes=b"ok")
    return protos.TypedData(http=protos.RpcHttp(status_code="201", headers={"x": "y"}, cookies=[cookie], body=content))


@pytest.mark.parametrize("where", ["value", "output"])
def test_an_http_answer_may_be_returned_or_set_as_an_output(where: str) -> None:
    header, body = result_from_response("i", response(**{where: http_answer()}))
    assert (header["status"], header["headers"], body) == (201, {"x": "y"}, b"ok")
    (cookie,) = header["cookies"]
    assert (cookie["domain"], cookie["path"], cookie["expires"], cookie["secure"]) == ("h", None, 7, True)
    assert (cookie["max_age"], cookie["same_site"]) == (0.5, "strict")


def test_a_plain_value_is_no_wrapper() -> None:
    assert [cookie_attribute(each) for each in ("text", None, 5)] == ["text", None, 5]


def fail() -> None:
    raise KeyError("k")


def test_an_exception_has_its_message_and_its_stack() -> None:
    failure = protos.RpcException(message="ValueError: no", stack_trace="in f")
    failed = protos.InvocationResponse(
        result=protos.StatusResult(status=protos.StatusResult.Failure, exception=failure),
        return_value=None,
        output_data=[],
    )
    header, body = result_from_response("i", failed)
    assert (header["ok"], header["message"], header["stack"], body) == (False, "ValueError: no", "in f", b"")
    with pytest.raises(KeyError) as raised:
        fail()
    found, _ = unexpected_error("i", raised.value)
    assert found["message"] == "KeyError: 'k'"
    assert "raise KeyError" in found["stack"]


def test_metadata_that_is_text_stays_text() -> None:
    text: Any = metadata_value('{"a"')
    value: Any = metadata_value({"a": 1})
    assert (text.string, value.json) == ('{"a"', '{"a": 1}')
