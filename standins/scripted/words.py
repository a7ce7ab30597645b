"""What counts as a token, and which words fill an answer without a script?"""

import hashlib
import re
from collections.abc import Iterator

TOKEN = re.compile(r"\s*\S{1,12}|\s+")
SENTENCE = 10
# fmt: off
VOCABULARY = (
    "amber", "anchor", "basin", "beacon", "birch", "canyon", "cedar", "cinder", "cobalt", "coral", "delta", "ember",
    "estuary", "fern", "fjord", "garnet", "glacier", "granite", "harbor", "hazel", "heather", "island", "juniper",
    "lagoon", "lantern", "larch", "lichen", "marble", "meadow", "mesa", "mistral", "monsoon", "moss", "nectar",
    "nimbus", "oasis", "obsidian", "orchard", "pebble", "petal", "pine", "plateau", "prairie", "quarry", "quartz",
    "raven", "reef", "ripple", "river", "saffron", "shale", "slate", "sorrel", "spruce", "summit", "thicket",
    "thistle", "tidal", "timber", "tundra", "valley", "violet", "willow", "zephyr",
)
# fmt: on


def tokens_of(text: str) -> list[str]:
    """Splits text into tokens that join to exactly that text: a word of at most 12 characters with the space before."""
    return TOKEN.findall(text)


def filler(seed: str, count: int) -> str:
    """Gives `count` tokens of prose; a longer text with the same seed begins with the shorter one."""
    return "".join(filler_tokens(seed, count))


def filler_tokens(seed: str, count: int) -> Iterator[str]:
    for index in range(count):
        word = word_at(seed, index)
        first = index % SENTENCE == 0
        last = index % SENTENCE == SENTENCE - 1
        yield (" " if index else "") + (word.capitalize() if first else word) + ("." if last else "")


def word_at(seed: str, index: int) -> str:
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=4).digest()
    return VOCABULARY[int.from_bytes(digest) % len(VOCABULARY)]
