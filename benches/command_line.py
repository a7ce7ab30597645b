"""Which numbers does the command line of a benchmark give it, and how does a long run show that it works?"""

import argparse
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

PROGRESS_S = 10.0


def chosen_number(default: int, of: str) -> int:
    """Return how many of these the command line asks for; with `-h` or a wrong argument, print the help and end."""
    (chosen,) = chosen_numbers((default,), of, "?")
    return chosen


def chosen_numbers(default: Sequence[int], of: str, count: str = "*") -> Sequence[int]:
    """Return the numbers of these that the command line asks for, like `chosen_number`."""
    parser = parser_of_bench()
    shown = ", ".join(map(str, default))
    parser.add_argument(
        "numbers", nargs=count, type=number_above_0, metavar=of.upper(), help=f"above 0; default: {shown}"
    )
    chosen: list[int] | int | None = parser.parse_args().numbers
    return [chosen] if isinstance(chosen, int) else chosen or default


def check_words(known: Sequence[str]) -> None:
    """End with the help where the command line has a word that the benchmark does not know."""
    parser = parser_of_bench()
    parser.add_argument("words", nargs="*", metavar="WORD", help=f"some of {', '.join(known)}")
    if unknown := [word for word in parser.parse_args().words if word not in known]:
        parser.error(f"unknown {unknown[0]}; choose some of {', '.join(known)}")


def parser_of_bench() -> argparse.ArgumentParser:
    main: Any = sys.modules["__main__"]
    program = f"python -m {main.__spec__.name.removesuffix('.__main__')}" if main.__spec__ else None
    form = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=program, description=main.__doc__, formatter_class=form)


def number_above_0(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text}")
    return int(text)


def counted[T](each: Collection[T], of: str) -> Iterator[T]:
    """Yield each item; say on stderr every ten seconds how many are done, so that a long run is not silent."""
    said = time.perf_counter()
    for done, item in enumerate(each):
        if time.perf_counter() - said >= PROGRESS_S:
            said = time.perf_counter()
            report(f"{done} of {len(each)} {of}")
        yield item


def report(text: str) -> None:
    """Say on stderr what a benchmark is doing; its tables go to stdout alone."""
    print(f"  {text} ...", file=sys.stderr, flush=True)
