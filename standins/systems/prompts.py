"""How do servers look from outside that take a prompt: Triton's generate, `infer` of the Open Inference Protocol, and
the scoring of Azure Machine Learning?

The prompt is read back by ChatML's markers, so that a prompt in another form fails.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from standins.json_values import Json
from standins.systems.chat import BadCall, Operation, Refusal, choice_of, chunks_of

TURN = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)(<\|im_end\|>\n|\Z)", re.DOTALL)
LIMITS = ("max_tokens", "max_new_tokens")


def chat_of(messages: list[Json], parameters: Json) -> Json:
    limit = next((parameters[name] for name in LIMITS if name in parameters), None)
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    return {"model": "scripted", "messages": messages, "max_tokens": limit, **usage}


def messages_of(prompt: str) -> list[Json]:
    """Return the conversation of a ChatML prompt, whose last turn is open. Raises BadCall for another text."""
    turns = [*TURN.finditer(prompt)]
    if "".join(turn[0] for turn in turns) != prompt or not turns or turns[-1][1] != "assistant" or turns[-1][3]:
        raise BadCall("the prompt must end with the beginning of an assistant turn")
    messages = [{"role": turn[1], "content": turn[2]} for turn in turns]
    return messages if messages[-1]["content"] else messages[:-1]


def error_of(status: int, body: bytes) -> Refusal:
    return Refusal(status=status, body=json.dumps({"error": body.decode(errors="replace")[:200]}).encode())


def text_of(chunk: Json) -> str:
    delta: Json = choice_of(chunk).get("delta") or {}
    return delta.get("content") or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonOperation(Operation):
    """A call that asks for these outputs beside the text, as Triton's vLLM backend has them."""

    outputs: frozenset[str]


class TritonDoor:
    """`/v2/models/{M}/generate` and `/generate_stream`, by Triton's generate extension."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        name = path.rpartition("/")[2]
        if name not in {"generate", "generate_stream"}:
            return None
        given = json.loads(body)
        streams = name == "generate_stream"
        if streams and not given.get("exclude_input_in_output", True):
            raise BadCall("When streaming, `exclude_input_in_output` = False is not allowed.")
        outputs = frozenset(each for each in given if each.startswith("return_") and given[each])
        chat = chat_of(messages_of(given["text_input"]), given.get("parameters", {}))
        return TritonOperation(chat=chat, streams=streams, outputs=outputs)

    def headers(self, operation: Operation) -> Mapping[str, str]:
        return {"content-type": "text/event-stream; charset=utf-8" if operation.streams else "application/json"}

    async def encoded(self, operation: Operation, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        texts: list[str] = []
        reason = ""
        usage: Json = {}
        async for chunk in chunks_of(answer):
            text, reason = text_of(chunk), choice_of(chunk).get("finish_reason") or reason
            usage = chunk.get("usage") or usage
            if text and operation.streams:
                yield self.frame(operation, text, "None", 0, 1)
            texts.append(text)
        if operation.streams:
            yield self.frame(operation, "", reason, usage["prompt_tokens"], 0)
            return
        whole = self.answer(operation, "".join(texts), reason, usage["prompt_tokens"], usage["completion_tokens"])
        yield json.dumps(whole).encode()

    def frame(self, operation: Operation, text: str, reason: str, read: int, written: int) -> bytes:
        return f"data: {json.dumps(self.answer(operation, text, reason, read, written))}\n\n".encode()

    def answer(self, operation: Operation, text: str, reason: str, read: int, written: int) -> Json:
        more = {"finish_reason": reason, "num_input_tokens": read, "num_output_tokens": written}
        asked = operation.outputs if isinstance(operation, TritonOperation) else frozenset[str]()
        kept = {name: value for name, value in more.items() if f"return_{name}" in asked}
        return {"model_name": "m", "model_version": "1", "text_output": text, **kept}

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:  # noqa: ARG002 - the protocol's own
        return error_of(status, body)


class WholeDoor:
    """A server that answers as a whole."""

    def headers(self, operation: Operation) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's own
        return {"content-type": "application/json"}

    async def encoded(
        self,
        operation: Operation,  # noqa: ARG002 - the protocol's own
        answer: AsyncIterator[bytes],
    ) -> AsyncIterator[bytes]:
        text = "".join([text_of(chunk) async for chunk in chunks_of(answer)])
        yield json.dumps(self.answer(text)).encode()

    def answer(self, text: str) -> Json:
        raise NotImplementedError

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:  # noqa: ARG002 - the protocol's own
        return error_of(status, body)


class InferDoor(WholeDoor):
    """`/v2/models/{M}/infer`, by the Open Inference Protocol: tensors of bytes."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        if path.rpartition("/")[2] != "infer":
            return None
        given = json.loads(body)
        tensors = {each["name"]: each for each in given["inputs"]}
        text = tensors["text_input"]
        if text["datatype"] != "BYTES" or len(text["data"]) != text["shape"][0]:
            raise BadCall("the shape of text_input does not match its data")
        return Operation(chat=chat_of(messages_of(text["data"][0]), given.get("parameters", {})), streams=False)

    def answer(self, text: str) -> Json:
        tensor = {"name": "text_output", "datatype": "BYTES", "shape": [1], "data": [text]}
        return {"model_name": "m", "model_version": "1", "outputs": [tensor]}


class ScoreDoor(WholeDoor):
    """`/score` of a scoring script for chats, as in Azure's model catalogue."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        if path != "score":
            return None
        given = json.loads(body)["input_data"]
        return Operation(chat=chat_of(given["input_string"], given.get("parameters", {})), streams=False)

    def answer(self, text: str) -> Json:
        return {"output": text}
