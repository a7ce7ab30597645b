"""Which documents does a run of a turn know without reading them again?"""

from clients.storage.port import Add, Container, Create, Delete, Document, DocumentKey, Operation, Replace
from clients.storage.sparing.memory import TurnMemory

TURNS = DocumentKey(container=Container.TURNS, parts=("tenant", "user", "thread"))
MONEY = DocumentKey(container=Container.MONEY, parts=("tenant",))


def known(memory: TurnMemory, key: DocumentKey = TURNS) -> dict[str, str]:
    return {name: each.etag for (at, name), each in memory.documents.items() if at == key}


def noted(key: DocumentKey, *operations: Operation) -> dict[str, str]:
    memory = TurnMemory(token="mine")
    memory.note(key, operations, [f"e{number}" for number in range(len(operations))])
    return known(memory, key)


def test_only_the_turn_s_own_documents_are_kept() -> None:
    memory = TurnMemory(token="mine")
    for name in ("resp_mine", "resp_other"):
        memory.keep(TURNS, Document(id=name, body={}, etag="e"))
    assert known(memory) == {"resp_mine": "e"}


def test_a_commit_is_known_as_it_was_written() -> None:
    created = Create(id="msg_other", body={"n": 1})
    assert noted(TURNS, created, Replace(id="resp_mine", body={}, etag="e")) == {"msg_other": "e0", "resp_mine": "e1"}
    assert noted(MONEY, created, Create(id="att_mine", body={})) == {"att_mine": "e1"}
    assert noted(TURNS, Replace(id="resp_other", body={}, etag="e")) == {}


def test_what_expires_or_was_changed_elsewhere_is_read_again() -> None:
    created = Create(id="mine", body={})
    for later in (
        Delete(id="mine"),
        Add(id="mine", amounts={"n": 1}),
        Replace(id="mine", body={}, etag="e0", expires_at=9.0),
    ):
        assert noted(TURNS, created, later) == {}


def test_a_list_is_known_only_where_all_of_it_was_read() -> None:
    memory = TurnMemory(token="mine")
    read = [Document(id=f"log_mine_{number}", body={}, etag="e") for number in (2, 1, 3)]
    assert memory.found(TURNS, "log_mine_", "", 9) is None
    memory.keep_list(TURNS, "log_mine_", read)
    found = memory.found(TURNS, "log_mine_", "log_mine_1", 1)
    assert found is not None
    assert [each.id for each in found] == ["log_mine_2"]
    memory.keep_list(MONEY, "att_mine_", [])
    assert memory.found(MONEY, "att_mine_", "", 9) is None
    memory.know_all(MONEY, "att_mine_")
    assert memory.found(MONEY, "att_mine_", "", 9) == []
    memory.forget()
    assert memory.found(TURNS, "log_mine_", "", 9) is None
    assert known(memory) == {}
