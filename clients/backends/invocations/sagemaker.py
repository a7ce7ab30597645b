"""How does SageMaker's InvokeEndpoint wrap a Chat Completions request and its answer?

The container gets the body as it is. A streamed answer is an event stream whose payloads are the container's own bytes,
cut anywhere (botocore's service model `sagemaker-runtime/2017-05-13`).
"""

from collections.abc import Mapping

from clients.backends.chat_wire import ChatWire
from clients.backends.formats.decoders import Decoder, StreamError, decoder_for, media_type
from clients.backends.formats.event_stream import CONTENT_TYPE, EventStream, Message
from clients.backends.formats.sse import SseDecoder
from domain.fleet.catalog import Backend

INNER_TYPE = "x-amzn-sagemaker-content-type"
STATUSES: Mapping[str, int] = {"ModelStreamError": 424, "InternalStreamFailure": 500}
"""The status of each error in mid-stream."""


class SageMakerWire(ChatWire):
    """InvokeEndpointWithResponseStream, or InvokeEndpoint where the backend does not stream."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.address = f"{backend.url}/{'invocations-response-stream' if backend.streams else 'invocations'}"
        if backend.streams:
            self.headers = {"accept": CONTENT_TYPE, "x-amzn-sagemaker-accept": "text/event-stream"}

    def decoder(self, headers: Mapping[str, str]) -> Decoder | None:
        if not self.backend.streams:
            return super().decoder(headers)
        if media_type(headers.get("content-type", "")) != CONTENT_TYPE:
            return None
        return PayloadDecoder(decoder_for(headers.get(INNER_TYPE, ""), streams=False) or SseDecoder())


class PayloadDecoder:
    """Splits the container's own stream, which arrives in messages, into its frames."""

    def __init__(self, inner: Decoder) -> None:
        self.stream = EventStream()
        self.inner = inner

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that this chunk completes. Raises ValueError and StreamError."""
        return [frame for message in self.stream.feed(chunk) for frame in self.inner.feed(payload_of(message))]

    def end(self) -> list[bytes]:
        return self.inner.end()


def payload_of(message: Message) -> bytes:
    """Return the container's bytes. Raises StreamError where the message is an error."""
    if message.kind.error:
        raise StreamError(message.kind.error, STATUSES.get(message.kind.error, 500))
    return message.payload
