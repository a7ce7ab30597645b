"""How does a prediction of Replicate become a streamed answer?

A prediction is created once; then it is read by its id until it has ended, as the SDK's `output_iterator` does it
(replicate 1.0.7). A caller that leaves cancels it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, cast
from urllib.parse import quote

import httpx

from clients.backends.credentials import Credentials
from clients.backends.formats.decoders import MALFORMED
from clients.backends.http_backend import HttpBackend
from clients.backends.images import ImageLoader
from clients.backends.observed_failures import failure_of
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.backends.predictions.request import prediction_input
from domain.fleet.catalog import Adapter, Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import TokenUsage

POLL_S: Final = 0.5
CANCEL_S: Final = 5.0
FAILED_STATUS: Final = 500
"""The status of an attempt whose prediction has failed: its model broke."""

LONGEST_S: Final = 1e6
"""No prediction takes longer."""

type Prediction = Mapping[str, Any]


class PredictionBackend(HttpBackend):
    """A client of one model or deployment: `https://api.replicate.com/v1/models/OWNER/NAME`."""

    async def create(self, call: BackendCall) -> str:
        """Create a prediction and return its id. Raises BackendError."""
        try:
            body = {"input": prediction_input(self.backend, call)}
        except ValueError as error:
            raise BackendError(Failure(kind=FailureKind.INEXPRESSIBLE)) from error
        headers = {"traceparent": call.traceparent} if call.traceparent else {}
        created = await self.exchange("POST", f"{self.backend.url}/predictions", headers=headers, json=body)
        return str(created["id"])

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        """Read the prediction `call.prediction`; create one where there is none."""
        reading = PredictionReading(self, call.prediction or await self.create(call), call.max_output_tokens)
        async with aclosing(reading.pieces()) as pieces:
            try:
                yield pieces
            finally:
                if not reading.has_ended:
                    await self.cancel(reading.prediction)

    async def read(self, prediction: str) -> Prediction:
        return await self.exchange("GET", self.address_of(prediction))

    async def cancel(self, prediction: str) -> None:
        """Cancel a prediction that nobody reads any more. A failure is left to the service's own time limit."""
        with suppress(BackendError, TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await self.exchange("POST", f"{self.address_of(prediction)}/cancel")

    def address_of(self, prediction: str) -> str:
        """Return the address of a prediction; it belongs to the service, not to the model."""
        origin, _, _ = self.backend.url.rpartition("/v1/")
        return f"{origin}/v1/predictions/{quote(prediction, safe='')}"

    async def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, json: Any = None
    ) -> Any:
        """Return the JSON of an answer that is a prediction. Raises BackendError."""
        deadline = asyncio.get_running_loop().time() + self.silence_s
        response = await self.send(method, url, deadline, headers=headers or {}, json=json)
        try:
            if not response.is_success:
                raise BackendError(await failure_of(response, self.silence_s))
            async with asyncio.timeout_at(deadline):
                await response.aread()
            body = response.json()
            if not isinstance(body["id"], str) or not body["status"]:
                raise TypeError
        except (*MALFORMED, TimeoutError) as error:
            raise BackendError(Failure(kind=FailureKind.BAD_FRAME)) from error
        finally:
            await response.aclose()
        return body


def backend_client(
    backend: Backend,
    http: httpx.AsyncClient,
    *,
    silence_s: float,
    credentials: Credentials,
    images: ImageLoader,
) -> HttpBackend:
    """Return the client of a backend: one of predictions, or one that reads the answer where it was asked for."""
    kind = PredictionBackend if backend.adapter is Adapter.REPLICATE else HttpBackend
    return kind(backend, http, silence_s=silence_s, credentials=credentials, images=images)


class PredictionReading:
    """Reads the output of one prediction as it grows."""

    def __init__(self, client: PredictionBackend, prediction: str, limit: int) -> None:
        self.client = client
        self.prediction = prediction
        self.limit = limit
        self.seen = 0
        self.has_ended = False

    async def pieces(self) -> AsyncGenerator[TextPiece | AnswerEnd]:
        """Yield the new parts of the output after each look. Raises BackendError where the prediction fails."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.client.backend.limits.request_timeout_s
        while True:
            found = await self.client.read(self.prediction)
            parts = parts_of(found.get("output"))
            for part in parts[self.seen :]:
                yield TextPiece(text=part)
            if len(parts) > self.seen:
                self.seen, deadline = len(parts), loop.time() + self.client.silence_s
            if found["status"] not in ("starting", "processing"):
                self.has_ended = True
                yield self.end(found)
                return
            if loop.time() >= deadline:
                raise BackendError(Failure(kind=FailureKind.READ_TIMEOUT, text_received=bool(self.seen)))
            await asyncio.sleep(POLL_S)

    def end(self, found: Prediction) -> AnswerEnd:
        match found["status"]:
            case "succeeded":
                usage = usage_in(found.get("metrics") or {})
                written = usage.output_tokens if usage else self.seen
                reason = "length" if written >= self.limit else "stop"
                return AnswerEnd(reason=reason, usage=usage, billed_s=billed_in(found.get("metrics") or {}))
            case "failed":
                failure = Failure(
                    kind=FailureKind.STATUS,
                    status=FAILED_STATUS,
                    body=str(found.get("error") or ""),
                    text_received=bool(self.seen),
                )
                raise BackendError(failure)
            case _:
                raise BackendError(Failure(kind=FailureKind.TRUNCATED, text_received=bool(self.seen)))


def parts_of(output: Any) -> list[str]:
    """Return the parts of an output: a list of texts, one text, or none yet."""
    parts = cast("list[Any]", output) if isinstance(output, list) else ([] if output is None else [output])
    if not all(isinstance(part, str) for part in parts):
        raise BackendError(Failure(kind=FailureKind.BAD_FRAME))
    return [part for part in parts if part]


def usage_in(metrics: Mapping[str, Any]) -> TokenUsage | None:
    """Return the token counts; None for a model that is billed by its time and counts none."""
    match metrics.get("input_token_count"), metrics.get("output_token_count"):
        case int(read), int(written) if min(read, written) >= 0:
            return TokenUsage(input_tokens=read, output_tokens=written)
        case _:
            return None


def billed_in(metrics: Mapping[str, Any]) -> float | None:
    """Return the seconds that the model worked on a prediction; public models that are billed by time bill these.

    None for a figure that cannot be a time.
    """
    match metrics.get("predict_time"):
        case int(found) | float(found) if 0 <= found <= LONGEST_S:
            return float(found)
        case _:
            return None
