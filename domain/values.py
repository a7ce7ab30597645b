"""How is a value shown of which a part is secret?"""

from typing import ClassVar

from msgspec import Struct


class Discreet(Struct, frozen=True):
    """A value that shows its fields in logs and errors, except those that its class names in `concealed`."""

    concealed: ClassVar[tuple[str, ...]]

    def __repr__(self) -> str:
        shown = (name for name in self.__struct_fields__ if name not in self.concealed)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"
