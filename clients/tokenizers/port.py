"""Which interface does a tokenizer implement?"""

from typing import Protocol


class Tokenizer(Protocol):
    """Counts the tokens of texts for one model. It loads in the background; until then it can't count."""

    @property
    def is_loaded(self) -> bool: ...

    def begin_loading(self) -> None:
        """Start to load where that has not been started. Never raises and never blocks."""
        ...

    async def loaded(self, within_s: float) -> bool:
        """Return whether it is loaded, after a wait of at most so many seconds."""
        ...

    def count(self, text: str) -> int:
        """Return the tokens of a text. Waits where it is being loaded; may run in any thread."""
        ...
