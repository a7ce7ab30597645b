"""How are entities and their operations read and written in transactions?"""

from dataclasses import dataclass

from devhost.engine.model.work_items import Batch, BatchOutcome, Entity
from devhost.engine.storage.entity_rows import find_entities, next_batch, put_operation, state_of, write_outcome
from devhost.engine.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityStore:
    """What is kept of entities. Every method is one transaction on the storage thread."""

    store: Store

    def signal(self, entity: str, name: str, given: str | None) -> None:
        with self.store.transaction() as database:
            put_operation(database, entity, name, given, None)

    def state(self, entity: str) -> str | None:
        return state_of(self.store.database, entity)

    def find(self, prefix: str) -> list[Entity]:
        return find_entities(self.store.database, prefix)

    def next_batch(self, entity: str, largest: int) -> Batch | None:
        return next_batch(self.store.database, entity, largest)

    def finish(self, batch: Batch, outcome: BatchOutcome, at: float) -> list[str]:
        with self.store.transaction() as database:
            return write_outcome(database, batch, outcome, at)
