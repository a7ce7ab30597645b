"""How does a test check every item of a list that might be empty by mistake?"""

from collections.abc import Iterable


def every(results: Iterable[object]) -> bool:
    """Return whether every result is true; an empty list fails, because it would prove nothing."""
    listed = list(results)
    assert listed, "there is nothing to check: the list is empty"
    failed = [index for index, result in enumerate(listed) if not result]
    assert not failed, f"the check fails for the items {failed} of {len(listed)} (counted from 0)"
    return True
