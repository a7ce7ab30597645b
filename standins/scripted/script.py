"""How does a prompt choose the answer or the fault of the scripted model?

The last user message is the script:

    [FAIL kind [xTIMES] [@TOKENS]] [COUNT n | ECHO text | RECALL | FACT word | VARY n | CALL name [arguments] | PLAN …]

Without a command the answer is 20 to 40 words of filler, the same for the same prompt; with the word `saga` in
the prompt it has 5,000 tokens. `x2` fails the first two requests of the same conversation and then runs the
command; `@5` places a fault in the stream after 5 tokens instead of half way. `stall` stops there and keeps the
connection open. VARY counts to n and then differs each
time. CALL calls a function of the request, with arguments in JSON or with made-up ones; the answer to its result
repeats the result. PLAN calls functions in rounds (see standins.scripted.plan). A prompt without a command that names a
function calls it, too: `Use get_weather for Oslo.` A question that names what it is about is enough: `What is the
weather in Oslo?` An image is seen as its type and size; an answer without a command
names the images of the prompt.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from standins.json_values import Json
from standins.scripted.chat_request import BadRequest, ScriptedRequest
from standins.scripted.plan import ScriptedCall, next_round
from standins.scripted.schema_values import value_of
from standins.scripted.words import SENTENCE, filler, tokens_of

SENTENCES = (2, 3, 4)
SAGA = "saga"
SAGA_LENGTH = 5000
VARIATION = 10
FAILURES = (
    "refuse",
    "429",
    "500",
    "503",
    "hang-before",
    "hang-after",
    "drip",
    "stall",
    "reset",
    "half-frame",
    "content-type",
)
FAIL = re.compile(
    r"FAIL\s+(?P<kind>[\w-]+)(?:\s+x(?P<times>\d+))?(?:\s+@(?P<after>\d+))?(?:\s+(?P<rest>.*))?", re.DOTALL
)

IMAGE = re.compile(r"\[(?:image at [^\]]+|image/[^\]]+ bytes)\]")

VERBS = frozenset({"check", "fetch", "find", "get", "list", "look", "lookup", "read", "search", "show"})
"""The verbs that names of functions begin with, and that a question leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedFailure:
    """`times` None fails every request; `after` counts tokens, None means half of the answer."""

    kind: str
    times: int | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """`tool` names the called function, whose arguments are the pieces; without it they are text.

    `calls` are several calls of one round, each sent as a whole.
    """

    pieces: tuple[str, ...]
    finish: str
    tool: str | None = None
    calls: tuple[ScriptedCall, ...] = ()


def failure_in(text: str) -> tuple[ScriptedFailure | None, str]:
    found = FAIL.fullmatch(text.strip())
    if not found:
        return None, text.strip()
    kind, times, after, rest = found["kind"], found["times"], found["after"], found["rest"]
    if kind not in FAILURES:
        raise BadRequest(f"unknown fault FAIL {kind}; choose one of {', '.join(FAILURES)}", "messages")
    failure = ScriptedFailure(kind=kind, times=int(times) if times else None, after=int(after) if after else None)
    return failure, (rest or "").strip()


def answer_to(request: ScriptedRequest, command: str, *, attempt: int) -> ScriptedAnswer:
    """Gives the rest of the answer after the partial one; `attempt` counts this conversation's requests from 1."""
    verb, _, argument = command.partition(" ")
    name, _, given = argument.strip().partition(" ")
    tool = request.tool or tool_called(request, verb, name)
    if tool:
        arguments = given if verb == "CALL" and given else json.dumps(value_of(tool.get("parameters", {})))
        return ScriptedAnswer(pieces=tuple(tokens_of(arguments)), finish="tool_calls", tool=str(tool["name"]))
    if verb == "PLAN":
        planned = next_round(request, argument)
        if planned.calls:
            return ScriptedAnswer(pieces=(), finish="tool_calls", calls=planned.calls)
        return cut(planned.text, request)
    if request.schema is not None:
        return cut(json.dumps(value_of(request.schema), ensure_ascii=False), request)
    return cut(COMMANDS.get(verb, write)(request, argument.strip(), attempt), request)


def tool_called(request: ScriptedRequest, verb: str, name: str) -> Json | None:
    """Gives the function that CALL or the words of the prompt name, unless the last message is the result of a call."""
    if request.messages[-1].role == "tool":
        return None
    if verb == "CALL":
        return next((function for function in request.functions if function.get("name") == name), None)
    prompt = request.last_text("user")
    named = (function for function in request.functions if is_named(str(function.get("name")), prompt))
    return None if verb in {*COMMANDS, "PLAN"} else next(named, None)


def is_named(function: str, prompt: str) -> bool:
    """Tells whether a prompt names a function, or a question what it is about: its name without a verb before it."""
    words, spoken = words_in(function), words_in(prompt)
    verb, _, subject = words.strip().partition(" ")
    is_asked = "?" in prompt and verb in VERBS and bool(subject)
    return words in spoken or (is_asked and f" {subject} " in spoken)


def words_in(text: str) -> str:
    """Gives the words of a text in lower case, with a space around each: `get_weather` and `Get weather` are alike."""
    return f" {' '.join(re.findall(r'[a-z0-9]+', text.casefold()))} "


def cut(text: str, request: ScriptedRequest) -> ScriptedAnswer:
    partial = request.partial or ""
    if not text.startswith(partial):
        raise BadRequest("this model's answer does not begin with the partial answer", "messages")
    pieces = tuple(tokens_of(text[len(partial) :]))
    is_cut = request.limit is not None and len(pieces) > request.limit
    return ScriptedAnswer(pieces=pieces[: request.limit], finish="length" if is_cut else "stop")


def count(_request: ScriptedRequest, argument: str, _attempt: int) -> str:
    if not argument.isdecimal():
        raise BadRequest("COUNT needs a whole number", "messages")
    return " ".join(str(number) for number in range(1, int(argument) + 1))


def echo(_request: ScriptedRequest, argument: str, _attempt: int) -> str:
    return argument


def recall(request: ScriptedRequest, _argument: str, _attempt: int) -> str:
    return request.first_text("user")


def fact(request: ScriptedRequest, argument: str, _attempt: int) -> str:
    """Gives the first line of an earlier user message that contains the word."""
    lines = [line for message in request.messages[:-1] if message.role == "user" for line in message.text.splitlines()]
    return next((line for line in lines if argument.casefold() in line.casefold()), "fact not found")


def call(request: ScriptedRequest, argument: str, _attempt: int) -> str:
    return f"{argument.partition(' ')[0]} said: {request.last_text('tool')}"


def vary(request: ScriptedRequest, argument: str, attempt: int) -> str:
    start = request.partial or f"{count(request, argument, attempt)} take {attempt}"
    return f"{start} {filler(f'{request.conversation}/{attempt}', VARIATION)}"


def write(request: ScriptedRequest, _argument: str, _attempt: int) -> str:
    length = natural_length(request) if request.length is None else request.length
    images = "".join(f"I see {image} " for image in IMAGE.findall(request.last_text("user")))
    return images + filler(request.conversation, length)


def natural_length(request: ScriptedRequest) -> int:
    """Gives the tokens of an answer without a command: whole sentences, or a saga, which many limits cut."""
    if SAGA in request.last_text("user").casefold():
        return SAGA_LENGTH
    return SENTENCE * SENTENCES[int(request.conversation, 16) % len(SENTENCES)]


COMMANDS: dict[str, Callable[[ScriptedRequest, str, int], str]] = {
    "COUNT": count,
    "ECHO": echo,
    "RECALL": recall,
    "FACT": fact,
    "VARY": vary,
    "CALL": call,
}


def prompt_tokens(request: ScriptedRequest) -> int:
    """Counts the words of each message and 3 tokens more, plus the tools and the partial answer."""
    texts = [*(message.text for message in request.messages), request.tools_text, request.partial or ""]
    return 3 * len(request.messages) + sum(len(tokens_of(text)) for text in texts)
