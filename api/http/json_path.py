"""How is the path of a field written in an error message?"""

from collections.abc import Iterable

PATH_LIMIT = 200


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def path_of(steps: Iterable[str | int]) -> str:
    """Return a path in the API's notation: `input[0].content`."""
    path = ""
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else joined(path, step)
    return path


def shortened(path: str) -> str:
    """Return a path for an error message: printable and short, because the caller chooses its names."""
    printable = "".join(character if character.isprintable() else "?" for character in path)
    return printable if len(printable) <= PATH_LIMIT else printable[:PATH_LIMIT] + "…"
