"""How are the host's messages converted to those of the worker library, and back?"""

import json
import traceback
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from devhost.frames import Header
from devhost.worker import protos


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundFunction:
    """The parameter names of a function: its trigger and its durable clients."""

    trigger: str
    clients: tuple[str, ...]


CLIENT_BINDINGS = frozenset({"durableclient", "orchestrationclient"})


def bound_from_bindings(bindings: list[dict[str, Any]]) -> BoundFunction:
    trigger = next(b["name"] for b in bindings if str(b["type"]).lower().endswith("trigger"))
    return BoundFunction(
        trigger=trigger, clients=tuple(b["name"] for b in bindings if str(b["type"]).lower() in CLIENT_BINDINGS)
    )


def http_data(http: dict[str, Any], body: bytes) -> protos.TypedData:
    content = protos.TypedData(bytes=body) if body else protos.TypedData()
    return protos.TypedData(http=protos.RpcHttp(body=content, **http))


def trigger_data(header: Header, body: bytes) -> protos.TypedData:
    kind = header["type"]
    if kind == "http":
        return http_data(header["http"], body)
    return protos.TypedData(**{kind: body if kind == "bytes" else body.decode()})


def metadata_value(value: Any) -> protos.TypedData:
    return protos.TypedData(string=value) if isinstance(value, str) else protos.TypedData(json=json.dumps(value))


def request_from_header(header: Header, body: bytes, bound: BoundFunction, client: str) -> SimpleNamespace:
    """Returns the `invocation_request` of the worker library."""
    inputs = [protos.ParameterBinding(name=bound.trigger, data=trigger_data(header, body))]
    own = client.replace("INVOCATIONID", header["id"]) if bound.clients else ""
    inputs += [protos.ParameterBinding(name=name, data=protos.TypedData(string=own)) for name in bound.clients]
    invocation = SimpleNamespace(
        invocation_id=header["id"],
        function_id=header["function"],
        input_data=inputs,
        trigger_metadata={name: metadata_value(value) for name, value in header.get("metadata", {}).items()},
        trace_context=SimpleNamespace(trace_parent=header["trace"], trace_state=header["trace_state"], attributes={}),
        retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
    )
    return SimpleNamespace(request=SimpleNamespace(invocation_request=invocation))


SAME_SITE = {0: None, 1: "lax", 2: "strict", 3: "none"}


def cookie_attribute(value: Any) -> Any:
    """Converts nullable wrappers and timestamps to plain values."""
    while hasattr(value, "value") or hasattr(value, "seconds"):
        value = value.value if hasattr(value, "value") else value.seconds
    return value


def cookie_to_wire(cookie: Any) -> dict[str, Any]:
    names = ("name", "value", "domain", "path", "expires", "secure", "http_only", "max_age")
    plain = {name: cookie_attribute(getattr(cookie, name)) for name in names}
    return {**plain, "same_site": SAME_SITE[cookie.same_site]}


def http_result(http: Any) -> tuple[Header, bytes]:
    found: list[Any] = http.cookies or []
    cookies = [cookie_to_wire(cookie) for cookie in found]
    body = http.body.bytes if http.body.kind == "bytes" else b""
    return {"type": "http", "status": int(http.status_code), "headers": http.headers, "cookies": cookies}, body


def value_result(value: Any) -> tuple[Header, bytes]:
    if value is None or value.kind is None:
        return {"type": "none"}, b""
    if value.kind == "http":
        return http_result(value.http)
    data = getattr(value, value.kind)
    data = int(data) if isinstance(data, bool) else data
    return {"type": value.kind}, data if isinstance(data, bytes) else str(data).encode()


def return_value(response: Any) -> Any:
    """A function may return its HTTP response or set it as an output."""
    outputs: list[Any] = response.output_data or []
    found = next((one.data for one in outputs if one.data is not None and one.data.kind == "http"), None)
    return response.return_value if response.return_value is not None else found


def result_from_response(invocation: str, response: Any) -> tuple[Header, bytes]:
    result: Header = {"kind": "result", "id": invocation}
    if response.result.status != protos.StatusResult.Success:
        failure = response.result.exception
        return {**result, "ok": False, "message": failure.message, "stack": failure.stack_trace}, b""
    header, body = value_result(return_value(response))
    return {**result, "ok": True, **header}, body


def unexpected_error(invocation: str, error: Exception) -> tuple[Header, bytes]:
    message = f"{type(error).__name__}: {error}"
    stack = "".join(traceback.format_exception(error))
    return {"kind": "result", "id": invocation, "ok": False, "message": message, "stack": stack}, b""
