"""What does the scripted model say, and how does it fail?

The last user message decides:

    [FAIL kind [xTIMES] [@TOKENS]] [COUNT n | ECHO text | RECALL | FACT word | VARY n | CALL name]

Without a command the answer is filler. `x2` fails the first two requests of exactly that conversation, then does the
rest; `@5` lets a failure in mid-stream come after 5 tokens rather than half way. VARY counts to n, then differs each
time. CALL calls a function of the request; when its result has come, the answer says it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from standins.json_values import Json
from standins.scripted.chat_request import BadRequest, ScriptedRequest
from standins.scripted.schema_values import value_of
from standins.scripted.words import filler, tokens_of

USUAL_LENGTH = 60
VARIATION = 10
FAILURES = (
    "refuse",
    "429",
    "500",
    "503",
    "hang-before",
    "hang-after",
    "drip",
    "reset",
    "half-frame",
    "content-type",
)
FAIL = re.compile(
    r"FAIL\s+(?P<kind>[\w-]+)(?:\s+x(?P<times>\d+))?(?:\s+@(?P<after>\d+))?(?:\s+(?P<rest>.*))?", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedFailure:
    """`times` is None when every request fails; `after` counts tokens, None when half of them are sent."""

    kind: str
    times: int | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """`tool` is the name of the function called with these pieces as its arguments, else they are text."""

    pieces: tuple[str, ...]
    finish: str
    tool: str | None = None


def failure_in(text: str) -> tuple[ScriptedFailure | None, str]:
    found = FAIL.fullmatch(text.strip())
    if not found:
        return None, text.strip()
    kind, times, after, rest = found["kind"], found["times"], found["after"], found["rest"]
    if kind not in FAILURES:
        raise BadRequest(f"FAIL {kind} is not known; known are {', '.join(FAILURES)}", "messages")
    failure = ScriptedFailure(kind=kind, times=int(times) if times else None, after=int(after) if after else None)
    return failure, (rest or "").strip()


def answer_to(ask: ScriptedRequest, command: str, *, take: int) -> ScriptedAnswer:
    """Gives what is left to say behind the partial answer; `take` counts this conversation's requests from 1."""
    verb, _, argument = command.partition(" ")
    tool = ask.tool or (tool_called(ask, argument.strip()) if verb == "CALL" else None)
    if tool:
        arguments = json.dumps(value_of(tool.get("parameters", {})))
        return ScriptedAnswer(pieces=tuple(tokens_of(arguments)), finish="tool_calls", tool=str(tool["name"]))
    if ask.schema is not None:
        return cut(json.dumps(value_of(ask.schema), ensure_ascii=False), ask)
    return cut(COMMANDS.get(verb, write)(ask, argument.strip(), take), ask)


def tool_called(ask: ScriptedRequest, name: str) -> Json | None:
    """Gives the function of that name, unless the last message is the result of a call."""
    if ask.messages[-1].role == "tool":
        return None
    return next((function for function in ask.functions if function.get("name") == name), None)


def cut(text: str, ask: ScriptedRequest) -> ScriptedAnswer:
    said = ask.partial or ""
    if not text.startswith(said):
        raise BadRequest("the partial answer is not a beginning of this model's answer", "messages")
    pieces = tuple(tokens_of(text[len(said) :]))
    over = ask.limit is not None and len(pieces) > ask.limit
    return ScriptedAnswer(pieces=pieces[: ask.limit], finish="length" if over else "stop")


def count(_ask: ScriptedRequest, argument: str, _take: int) -> str:
    if not argument.isdecimal():
        raise BadRequest("COUNT needs a whole number", "messages")
    return " ".join(str(number) for number in range(1, int(argument) + 1))


def echo(_ask: ScriptedRequest, argument: str, _take: int) -> str:
    return argument


def recall(ask: ScriptedRequest, _argument: str, _take: int) -> str:
    return ask.first_text("user")


def fact(ask: ScriptedRequest, argument: str, _take: int) -> str:
    """Gives the first line that the user sent before the command and that holds the word."""
    lines = [line for message in ask.messages[:-1] if message.role == "user" for line in message.text.splitlines()]
    return next((line for line in lines if argument.casefold() in line.casefold()), "no such fact")


def call(ask: ScriptedRequest, argument: str, _take: int) -> str:
    return f"{argument} said: {ask.last_text('tool')}"


def vary(ask: ScriptedRequest, argument: str, take: int) -> str:
    said = ask.partial or f"{count(ask, argument, take)} take {take}"
    return f"{said} {filler(f'{ask.conversation}/{take}', VARIATION)}"


def write(ask: ScriptedRequest, _argument: str, _take: int) -> str:
    said = len(tokens_of(ask.partial or ""))
    usual = USUAL_LENGTH if ask.limit is None else said + ask.limit + 1
    wanted = usual if ask.length is None else ask.length
    return filler(ask.conversation, max(wanted, said))


COMMANDS: dict[str, Callable[[ScriptedRequest, str, int], str]] = {
    "COUNT": count,
    "ECHO": echo,
    "RECALL": recall,
    "FACT": fact,
    "VARY": vary,
    "CALL": call,
}


def prompt_tokens(ask: ScriptedRequest) -> int:
    """Counts each message as its words and 3 tokens of frame, plus the tools and the partial answer."""
    texts = [*(message.text for message in ask.messages), ask.tools_text, ask.partial or ""]
    return 3 * len(ask.messages) + sum(len(tokens_of(text)) for text in texts)
