"""Which interface sets the number of instances of a backend?"""

from typing import Protocol

from clients.backends.port import BackendError
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind


class InstanceCounter(Protocol):
    """Sets the number of instances of services that scale manually."""

    async def set_count(self, backend: Backend, count: int) -> str:
        """Ask for a number of instances. Return the operation to wait for, or "" where it is done already.

        Safe to repeat. Raises BackendError.
        """
        ...

    async def wait(self, backend: Backend, operation: str) -> None:
        """Return when the operation has ended. Raises BackendError where it failed, or takes too long."""
        ...


class NoCounter:
    """Counts no instances: the fleet has no backend that needs it."""

    async def set_count(self, backend: Backend, count: int) -> str:
        raise BackendError(Failure(kind=FailureKind.REFUSED, body=f"nothing sets {backend.name} to {count}"))

    async def wait(self, backend: Backend, operation: str) -> None:
        raise BackendError(Failure(kind=FailureKind.REFUSED, body=f"{backend.name} has no operation {operation}"))
