"""Which message types does the worker library expect from its host? They have the gRPC names without gRPC."""

from types import SimpleNamespace
from typing import Any


class TypedData:
    def __init__(self, **data: Any) -> None:
        self.kind = next(iter(data), None)
        self.__dict__.update(data)

    def WhichOneof(self, name: str) -> str | None:  # noqa: N802 - the name the worker library calls
        return self.kind if name == "data" else None


class ParameterBinding(SimpleNamespace):
    def WhichOneof(self, name: str) -> str | None:  # noqa: N802 - the name the worker library calls
        return "data" if name == "rpc_data" else None


class BindingInfo(SimpleNamespace):
    undefined = 0
    out = 1
    inout = 2


class StatusResult(SimpleNamespace):
    Failure = 0
    Success = 1


class RpcHttpCookie(SimpleNamespace):
    SameSite = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


class RpcHttp(SimpleNamespace):
    pass


class RpcException(SimpleNamespace):
    pass


class RpcFunctionMetadata(SimpleNamespace):
    pass


class RpcRetryOptions(SimpleNamespace):
    pass


class WorkerMetadata(SimpleNamespace):
    pass


class WorkerInitResponse(SimpleNamespace):
    pass


class FunctionMetadataResponse(SimpleNamespace):
    pass


class FunctionLoadResponse(SimpleNamespace):
    pass


class FunctionEnvironmentReloadResponse(SimpleNamespace):
    pass


class InvocationResponse(SimpleNamespace):
    pass


class NullableString(SimpleNamespace):
    pass


class NullableBool(SimpleNamespace):
    pass


class NullableDouble(SimpleNamespace):
    pass


class NullableTimestamp(SimpleNamespace):
    pass


class Timestamp(SimpleNamespace):
    pass
