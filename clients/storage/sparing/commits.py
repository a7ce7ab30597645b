"""How do concurrent commits of one partition become one commit, with the outcome that each would have alone?

Together they succeed, or each of them is made alone. Amounts that several of them add to one counter are added at once.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clients.storage.port import OPERATIONS_LIMIT, Add, DocumentKey, DocumentStore, Operation
from clients.storage.request_units import RequestCharge, leave_meter, metered
from domain.errors import GanglionError, Retryable


class Committed(NamedTuple):
    """What a commit is charged, and the etags after its operations."""

    charge: RequestCharge
    etags: Sequence[str]


type Outcome = Committed | GanglionError


async def commit_all(
    store: DocumentStore, key: DocumentKey, commits: Sequence[Sequence[Operation]]
) -> Sequence[Outcome]:
    """Make commits, as many at once as one can have; return what each was charged, or its error."""
    leave_meter()
    outcomes: list[Outcome] = []
    for some in packed(commits):
        outcomes += await commit_together(store, key, some)
    return outcomes


async def commit_together(
    store: DocumentStore, key: DocumentKey, commits: Sequence[Sequence[Operation]]
) -> Sequence[Outcome]:
    joined = merged(commits)
    try:
        with metered() as charge:
            etags = await store.commit(key, joined)
    except GanglionError as error:
        if len(commits) == 1 or isinstance(error, Retryable):
            return [error] * len(commits)
        return [each for one in commits for each in await commit_together(store, key, [one])]
    known = {each.id: etag for each, etag in zip(joined, etags, strict=True)}
    part = charge.part(len(commits))
    return [Committed(part, [known[each.id] for each in commit]) for commit in commits]


def packed(commits: Sequence[Sequence[Operation]]) -> Iterable[Sequence[Sequence[Operation]]]:
    """Yield commits in groups that each fit into one; one with a document that another one writes begins a group."""
    group: list[Sequence[Operation]] = []
    for each in commits:
        together = [*group, each]
        if group and (len(merged(together)) > OPERATIONS_LIMIT or not are_apart(group, each)):
            yield group
            together = [each]
        group = together
    if group:
        yield group


def are_apart(group: Sequence[Sequence[Operation]], other: Sequence[Operation]) -> bool:
    """Return whether no document that one of them writes is written by another, but for what is added to it."""
    known = [operation for each in group for operation in each]
    own, others = writes(known), writes(other)
    return not own & others and not own & added(other) and not others & added(known)


def writes(operations: Sequence[Operation]) -> set[str]:
    return {each.id for each in operations if not isinstance(each, Add)}


def added(operations: Sequence[Operation]) -> set[str]:
    return {each.id for each in operations if isinstance(each, Add)}


def merged(commits: Sequence[Sequence[Operation]]) -> Sequence[Operation]:
    """Return the operations of several commits as those of one; a single commit stays as it is."""
    if len(commits) == 1:
        return commits[0]
    whole = [each for commit in commits for each in commit]
    sums: dict[str, Add] = {}
    for each in whole:
        if isinstance(each, Add):
            sums[each.id] = sum_of(sums[each.id], each) if each.id in sums else each
    return [*(each for each in whole if not isinstance(each, Add)), *sums.values()]


def sum_of(one: Add, other: Add) -> Add:
    """Return the addition of two: what both add stays within the limits of both."""
    names = one.amounts.keys() | other.amounts.keys()
    limits = dict(one.at_most)
    for name, limit in other.at_most.items():
        limits[name] = min(limit, limits.get(name, limit))
    amounts = {name: one.amounts.get(name, 0) + other.amounts.get(name, 0) for name in sorted(names)}
    return Add(id=one.id, amounts=amounts, at_most=limits)
