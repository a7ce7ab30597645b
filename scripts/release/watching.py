"""Does the deployed app run the new package, and does it answer turns?"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx

TURN_S: Final = 600.0
"""A cold GPU may need minutes for its first turn."""

SHOWN: Final = 200
"""The characters of an unexpected answer that a message repeats."""


class ReleaseError(Exception):
    """The new package does not do what it has to; the message says what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the app is asked, and after how many answers the release counts as failed."""

    asks: int = 90
    agreeing: int = 5
    """Answers in a row from the new package: while instances are replaced, old ones answer in between."""
    pause_s: float = 10.0
    sleep: Callable[[float], None] = field(default=time.sleep)


def wait_until_served(http: httpx.Client, release: str, pace: Pace) -> None:
    """Ask `GET /readyz` until it is the new release that answers; raises ReleaseError."""
    agreed, seen = 0, "nothing"
    for _ in range(pace.asks):
        seen = ready_state(http)
        agreed = agreed + 1 if seen == f"ok, release {release}" else 0
        if agreed == pace.agreeing:
            return
        pace.sleep(pace.pause_s)
    raise ReleaseError(f"GET /readyz does not answer from release {release}; it was last: {seen}")


def ready_state(http: httpx.Client) -> str:
    try:
        answer = http.get("/readyz")
    except httpx.HTTPError as problem:
        return type(problem).__name__
    body = object_of(answer)
    return f"{body.get('status', answer.status_code)}, release {body.get('release')}"


def wait_until_listed(count: Callable[[], int], expected: int, pace: Pace) -> None:
    """Wait until the platform lists every function; a package that fails to load has none. Raises ReleaseError."""
    listed = 0
    for _ in range(pace.asks):
        listed = count()
        if listed >= expected:
            return
        pace.sleep(pace.pause_s)
    raise ReleaseError(
        f"the platform lists {listed} of {expected} functions; see the app's log for why it did not load"
    )


def turns(http: httpx.Client, token: str) -> Iterator[str]:
    """Run one turn that may start a GPU and one that finds it warm; yields a line for each, raises ReleaseError."""
    for kind in ("first (cold where nothing ran)", "second (warm)"):
        began = begun(http, token, kind)
        yield f"the {kind} turn {began} is {ended(http, began, token)}"


def begun(http: httpx.Client, token: str, kind: str) -> str:
    """Begin a turn and return its id; raises ReleaseError, also where a gateway answers or nothing does."""
    try:
        answer = http.post(
            "/v1/responses",
            json={"model": "auto", "input": "Answer with the word yes.", "background": True, "max_output_tokens": 16},
            headers={"authorization": f"Bearer {token}"},
        )
    except httpx.HTTPError as problem:
        raise ReleaseError(f"the {kind} turn gets no answer: {type(problem).__name__}") from problem
    body = object_of(answer)
    if answer.is_error or "id" not in body:
        shown = body.get("error") or answer.text[:SHOWN]
        raise ReleaseError(f"the {kind} turn is rejected with {answer.status_code}: {shown}")
    return str(body["id"])


def object_of(answer: httpx.Response) -> Mapping[str, Any]:
    """Return the JSON object of an answer; an empty one where it has none, as the page of a gateway."""
    try:
        found: Any = answer.json()
    except ValueError:
        found = None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def ended(http: httpx.Client, response_id: str, token: str, pace: Pace | None = None) -> str:
    """Wait for a turn; returns its status, raises ReleaseError unless it was answered. A lost answer is asked again."""
    asked = pace or Pace(asks=int(TURN_S / 2), pause_s=2.0)
    status = "queued"
    for _ in range(asked.asks):
        try:
            answer = http.get(f"/v1/responses/{response_id}", headers={"authorization": f"Bearer {token}"})
        except httpx.HTTPError as problem:
            status = type(problem).__name__
        else:
            body = object_of(answer)
            status = str(body.get("status", answer.status_code))
            if status in ("completed", "incomplete"):
                return status
            if status in ("failed", "cancelled"):
                raise ReleaseError(f"the turn {response_id} is {status}: {body.get('error')}")
        asked.sleep(asked.pause_s)
    raise ReleaseError(f"the turn {response_id} is still {status} after {asked.asks * asked.pause_s:g} s")


def said(lines: Iterable[str], write: Callable[[str], object]) -> None:
    for line in lines:
        write(f"release: {line}\n")
