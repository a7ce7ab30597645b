"""Under which name is each instance of a backend known that may have several?

Each instance has GPU sessions of its own. The first one has the name of its backend, so a backend with one instance is
what it always was; the others have their number behind it.
"""

from copy import replace
from typing import Final

from domain.fleet.catalog import Backend
from domain.fleet.instances.scaling import Scaling

MARK: Final = "#"
"""No name of a backend contains it."""


def instance(backend: Backend, number: int) -> Backend:
    """Return the backend as that instance alone; `number` counts from 0."""
    return replace(backend, name=instance_name(backend.name, number))


def instance_name(backend: str, number: int) -> str:
    return f"{backend}{MARK}{number}" if number else backend


def instances_of(backend: Backend) -> tuple[Backend, ...]:
    """Return each instance that a backend may have, in the order of their numbers."""
    return tuple(instance(backend, number) for number in range(backend.max_instances))


def backend_of(name: str) -> str:
    """Return the name of the backend of an instance."""
    return name.partition(MARK)[0]


def number_of(name: str) -> int:
    """Return the number of an instance, from 0."""
    return int(name.partition(MARK)[2] or 0)


def whole(one: Backend) -> Backend:
    """Return the backend of an instance."""
    return replace(one, name=backend_of(one.name)) if MARK in one.name else one


def is_inferred(backend: Backend) -> bool:
    """Return whether the product does not know how many instances run: their sessions are estimates."""
    return backend.max_instances > 1 and backend.scaling is not Scaling.COUNT
