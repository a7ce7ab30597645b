"""What does a backend's entry say about the requests it gets: their headers, and the probe that starts it?"""

import re
from collections.abc import Mapping
from typing import Final

from domain.config.signature_rows import HIGHEST_STATUS
from domain.config.toml_table import VARIABLE, TomlTable, expanded
from domain.fleet.extra_requests import Probe, ProbeBody, ProbeMethod, TokenCounting

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
