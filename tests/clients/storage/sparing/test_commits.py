"""Do commits of many runs become groups that a single commit can write?"""

from clients.storage.port import Add, Replace
from clients.storage.sparing.commits import merged, packed
from tests.clients.storage.sparing.test_store import attempt


def test_a_group_has_no_document_twice_and_as_many_operations_as_a_commit_may_have() -> None:
    once, again = [Replace(id="answers", body={}, etag="1")], [Replace(id="answers", body={}, etag="1")]
    assert list(packed([once, again, attempt(0, 1)])) == [[once], [again, attempt(0, 1)]]
    sizes = [len(merged(group)) for group in packed([attempt(number, 1) for number in range(150)])]
    assert sizes == [100, 52]


def test_the_sum_of_additions_keeps_the_limits_of_both() -> None:
    one = Add(id="budget", amounts={"taken": 2, "held": 1}, at_most={"taken": 9})
    other = Add(id="budget", amounts={"taken": -1}, at_most={"taken": 7})
    assert merged([[one], [other]]) == [Add(id="budget", amounts={"held": 1, "taken": 1}, at_most={"taken": 7})]
