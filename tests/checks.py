"""How does a test check every item of a list that might be empty by mistake, and how many examples does it try?"""

from collections.abc import Iterable

from hypothesis import settings


def every(results: Iterable[object]) -> bool:
    """Return whether every result is true; an empty list fails, because it would prove nothing."""
    listed = list(results)
    assert listed, "there is nothing to check: the list is empty"
    failed = [index for index, result in enumerate(listed) if not result]
    assert not failed, f"the check fails for the items {failed} of {len(listed)} (counted from 0)"
    return True


def at_most(examples: int) -> int:
    """Return how many examples a dear property tries: fewer where the profile of the run has fewer."""
    return min(examples, settings().max_examples)
