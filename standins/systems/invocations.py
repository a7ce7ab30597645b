"""How do the stand-ins of SageMaker and Lambda wrap a container's own answer?"""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from math import ceil

from standins.clock import now
from standins.systems.chat import ChatDoor, Operation, Refusal
from standins.systems.event_frames import CONTENT_TYPE, event

PART_BYTES = 50
PRELUDE = json.dumps({"statusCode": 200, "headers": {"content-type": "text/event-stream"}, "cookies": []}).encode()


def report(billed_ms: int) -> str:
    """Return the end of a function's log, as the service sends it to a caller that asks for it."""
    text = f"END RequestId: 1\nREPORT RequestId: 1\tDuration: {billed_ms}.00 ms\tBilled Duration: {billed_ms} ms\t\n"
    return b64encode(text.encode()).decode()


class SageMakerDoor(ChatDoor):
    """`/endpoints/{E}/invocations` and `/endpoints/{E}/invocations-response-stream`."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        start, _, rest = path.partition("/")
        _, _, operation = rest.partition("/")
        if start != "endpoints" or operation not in {"invocations", "invocations-response-stream"}:
            return None
        return Operation(chat=json.loads(body), streams=operation == "invocations-response-stream")

    def headers(self, operation: Operation) -> Mapping[str, str]:
        if not operation.streams:
            return {"content-type": "application/json"}
        return {"content-type": CONTENT_TYPE, "x-amzn-sagemaker-content-type": "text/event-stream"}

    async def encoded(self, operation: Operation, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for line in answer:
            if not operation.streams:
                yield line
                continue
            for at in range(0, len(line), PART_BYTES):
                yield event("PayloadPart", line[at : at + PART_BYTES], "application/octet-stream")

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:  # noqa: ARG002 - the protocol's own
        """Return an error that quotes the container's own, the account of its log included."""
        found = {
            "Message": f"Received server error ({status}) from primary with message {body.decode()!r}.",
            "OriginalStatusCode": status,
            "OriginalMessage": body.decode(),
            "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/e",
        }
        headers = {"content-type": "application/json", "x-amzn-errortype": "ModelError"}
        return Refusal(status=424, headers=headers, body=json.dumps(found).encode())


class LambdaDoor(ChatDoor):
    """`/2015-03-31/functions/{F}/invocations` and `/2021-11-15/functions/{F}/response-streaming-invocations`."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        version, _, rest = path.partition("/")
        _, _, operation = rest.rpartition("/")
        known = {"2015-03-31": "invocations", "2021-11-15": "response-streaming-invocations"}
        if known.get(version) != operation:
            return None
        return Operation(chat=json.loads(body), streams=version == "2021-11-15")

    def headers(self, operation: Operation) -> Mapping[str, str]:
        return {"content-type": CONTENT_TYPE if operation.streams else "application/json"}

    async def encoded(self, operation: Operation, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if not operation.streams:
            body = b"".join([line async for line in answer])
            yield json.dumps({"statusCode": 200, "headers": {}, "body": body.decode()}).encode()
            return
        began = now()
        yield event("PayloadChunk", PRELUDE + bytes(8), "application/octet-stream")
        async for line in answer:
            yield event("PayloadChunk", line, "application/octet-stream")
        operation.billed_ms.append(ceil((now() - began) * 1000))
        yield event("InvokeComplete", json.dumps({"LogResult": report(operation.billed_ms[0])}).encode())

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:
        """Return a success whose content is the error: the function ran."""
        prelude = json.dumps({"statusCode": status, "headers": {}, "body": body.decode()}).encode()
        if not operation.streams:
            return Refusal(status=200, body=prelude)
        found = event("PayloadChunk", prelude + bytes(8) + body, "application/octet-stream")
        return Refusal(status=200, headers=self.headers(operation), body=found + event("InvokeComplete", b"{}"))
