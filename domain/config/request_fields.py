"""What does a backend's entry say about its requests: their headers, the probe, and the form of its prompts?"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from domain.config.signature_rows import HIGHEST_STATUS
from domain.config.toml_table import VARIABLE, TomlTable, expanded, plain_list, plain_table
from domain.fleet.request_forms import (
    Placeholder,
    Probe,
    ProbeBody,
    ProbeMethod,
    PromptFormat,
    PromptTemplate,
    TokenCounting,
)

HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
PROBE_PATH: Final = re.compile(r"/?[A-Za-z0-9_.~/:-]{1,200}")
OWN_HEADERS: Final = frozenset(
    {
        "accept",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "transfer-encoding",
    }
)
"""The headers that the client sets itself."""

PROMPT_PATH: Final = re.compile(r"[A-Za-z0-9_.~/:-]{1,200}")
POINTER: Final = re.compile(r"(/([^/~]|~[01])*){1,16}")
ASKED: Final = frozenset({Placeholder.PROMPT, Placeholder.MESSAGES})
SHAPED: Final = re.compile(r"\{[a-z_]+\}")


def read_headers(table: TomlTable, variables: Mapping[str, str], *, in_use: bool) -> Mapping[str, str]:
    """Return the extra headers, `%NAME%` in their values replaced. A value is never part of an error.

    A variable that is not set is a problem where the backend is in use.
    """
    headers = table.table("headers")
    found: dict[str, str] = {}
    for name in headers.values:
        text = headers.text(name)
        value = expanded(text, variables)
        if not HEADER_NAME.fullmatch(name) or name.lower() in OWN_HEADERS:
            headers.problems.append(f"{headers.name_of(name)}: expected the name of a header that may be added")
        elif in_use and (unset := VARIABLE.search(value)):
            headers.problems.append(f"{headers.name_of(name)}: the variable {unset[1]} is not set; set it")
        elif text and not HEADER_VALUE.fullmatch(value):
            headers.problems.append(f"{headers.name_of(name)}: expected one line of printable ASCII")
        found[name.lower()] = value
    return found


def read_probe(table: TomlTable) -> Probe:
    """Read what starts a backend. A table without `up` is a problem: no answer would prove anything."""
    usual = Probe()
    if not table.values:
        return usual
    probe = Probe(
        method=table.choice("method", ProbeMethod, ProbeMethod.GET),
        path=table.text("path", usual.path),
        body=table.choice("body", ProbeBody, ProbeBody.NONE),
        up=table.wholes("up"),
        starting=table.wholes("starting"),
        refused=table.wholes("refused"),
    )
    if not probe.up:
        table.report("up", "the statuses that prove that the backend is up, like [200]")
    if not PROBE_PATH.fullmatch(probe.path):
        table.report("path", "a path without query, relative to the url, or from its origin with a slash first")
    check_statuses(probe, table)
    if probe.body is ProbeBody.CHAT and probe.method is not ProbeMethod.POST:
        table.report("method", "POST, which a chat needs")
    table.close()
    return probe


def read_token_counting(table: TomlTable) -> TokenCounting | None:
    """Read where a backend counts tokens; nowhere where the table is absent or empty."""
    if not table.values:
        return None
    counting = TokenCounting(path=table.text("path"), field=table.text("field"))
    if counting.path and not PROBE_PATH.fullmatch(counting.path):
        table.report("path", "a path without query, relative to the url, or from its origin with a slash first")
    table.close()
    return counting


def check_statuses(probe: Probe, table: TomlTable) -> None:
    named = (*probe.up, *probe.starting, *probe.refused)
    if any(status > HIGHEST_STATUS for status in named):
        table.problems.append(f"{table.path}: expected HTTP statuses, found one above {HIGHEST_STATUS}")
    if len(set(named)) < len(named):
        table.problems.append(f"{table.path}: expected each status once among up, starting and refused")


def read_prompt_format(table: TomlTable) -> PromptFormat | None:
    """Read the form of requests and answers; none where the table is absent or empty."""
    if not table.values:
        return None
    form = PromptFormat(
        path=table.text("path"),
        body=plain_table(table.values.get("body")) or {},
        answer=read_pointer("answer", table),
        template=table.optional("template", lambda key: table.choice(key, PromptTemplate)),
        finish_reason=read_pointer("finish_reason", table, required=False),
        input_tokens=read_pointer("input_tokens", table, required=False),
        output_tokens=read_pointer("output_tokens", table, required=False),
    )
    if form.path and not PROMPT_PATH.fullmatch(form.path):
        table.report("path", "a path without query, relative to the url")
    check_body(form, table)
    table.close()
    return form


def read_pointer(key: str, table: TomlTable, *, required: bool = True) -> str:
    pointer = table.text(key) if required else table.any_text(key, "")
    if pointer and not POINTER.fullmatch(pointer):
        table.report(key, 'a JSON pointer, like "/outputs/0/data/0"')
    return pointer


def check_body(form: PromptFormat, table: TomlTable) -> None:
    """Report a body that does not ask, names an unknown placeholder, or fits no template."""
    table.known.add("body")
    texts = set(texts_in(form.body))
    known = ", ".join(Placeholder)
    if unknown := sorted(text for text in texts if SHAPED.fullmatch(text) and text not in Placeholder):
        table.problems.append(f"{table.name_of('body')}: expected placeholders among {known}, found {unknown[0]!r}")
    if len(ASKED & texts) != 1:
        table.problems.append(f"{table.name_of('body')}: expected a table with either {' or '.join(sorted(ASKED))}")
    elif Placeholder.PROMPT in texts and form.template is None:
        table.report("template", f"the form of the model's prompts, one of {', '.join(PromptTemplate)}")
    elif Placeholder.MESSAGES in texts and form.template is not None:
        table.report("template", "nothing: the body takes messages")


def texts_in(part: Any) -> Iterator[str]:
    """Yield the texts of a body."""
    if isinstance(part, str):
        yield part
    within = cast("dict[str, Any]", part).values() if isinstance(part, dict) else plain_list(part)
    for each in within:
        yield from texts_in(each)
