"""How are entities and their operations read and written in transactions?"""

from dataclasses import dataclass

from devhost.engine.model.work_items import Entity, EntityBatch, EntityBatchResult
from devhost.engine.storage.entity_rows import (
    find_entities,
    insert_operation,
    read_next_batch,
    read_state,
    write_batch_result,
)
from devhost.engine.storage.store import TaskHubStore


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityStore:
    """Every method is one transaction on the storage thread."""

    store: TaskHubStore

    def signal(self, entity: str, name: str, input_: str | None) -> None:
        with self.store.transaction() as database:
            insert_operation(database, entity, name, input_, None)

    def state(self, entity: str) -> str | None:
        return read_state(self.store.database, entity)

    def find(self, prefix: str) -> list[Entity]:
        return find_entities(self.store.database, prefix)

    def next_batch(self, entity: str, max_operations: int) -> EntityBatch | None:
        return read_next_batch(self.store.database, entity, max_operations)

    def finish(self, batch: EntityBatch, outcome: EntityBatchResult, at: float) -> list[str]:
        with self.store.transaction() as database:
            return write_batch_result(database, batch, outcome, at)
