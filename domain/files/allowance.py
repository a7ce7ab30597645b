"""How many files may one owner have?"""

from collections.abc import Iterable

from msgspec import Struct

from domain.files.stored_file import StoredFile


class FileAllowance(Struct, frozen=True, kw_only=True):
    """The most files of one owner, and their most bytes together."""

    files: int
    size: int

    def excess(self, existing: Iterable[StoredFile], *, size: int) -> str:
        """Return why another file of `size` bytes is too much; an empty text where it is not."""
        sizes = [each.size for each in existing]
        if len(sizes) >= self.files:
            return f"You have {len(sizes):,} files, as many as GANGLION_OWNER_FILES allows. Delete some first."
        if sum(sizes) + size > self.size:
            return (
                f"Your files would have {sum(sizes) + size:,} bytes together, more than GANGLION_OWNER_FILE_BYTES "
                f"({self.size:,}) allows. Delete some first."
            )
        return ""
