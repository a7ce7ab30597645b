"""Do the examples of docs/api.md run as they stand?"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from tests.conformance.clusters import FLEET
from tests.conformance.documents.examples import LANGUAGES, Example, beginnings, examples, printed_by
from tests.conformance.installing import javascript_kits

BRIEF = "40"
WORDS = r"(\w+ ){5}"
ENDED = r"response\.(completed|incomplete)"
"""A plain answer of the scripted model ends by itself; one about a saga ends at its limit."""
SHOWN: Mapping[str, str] = {
    "Text": WORDS,
    "Stream": WORDS + r"|output_text\.delta(?s:.*)" + ENDED,
    "Previous response": WORDS,
    "Conversation": r"I am Ada\.(?s:.*)assistant",
    "Token count and compaction": r'^\d+\n(?s:.*\w)|"input_tokens":\d+(?s:.*)"type":"compaction"',
    "Function call": r"weather(?s:.*)city(?s:.*)(answer|" + WORDS + ")",
    "Structured output": r"city\W+city(?s:.*)days\W+-?\d+",
    "File": WORDS,
    "Uploaded file": WORDS + r"(?s:.*)Ada likes ships\.",
    "Image": WORDS,
    "Log probabilities": r"-\d+(\.\d+)? \[|\"logprob\":-\d",
    "Background response": "completed|incomplete",
    "Broken stream": rf"^8 (?s:.*){ENDED}|sequence_number\":8,(?s:.*){ENDED}",
    "Cancel and delete": "cancelled",
    "Idempotency key": "^the same$",
    "Chat": WORDS,
    "Streamed chat": WORDS + r"(?s:.*)completion_tokens\W+\d+|delta(?s:.*)completion_tokens\W+\d+",
    "Stored chat": r"light(?s:.*)(?i:true)",
    "Batch": r"completed|fact-0(?s:.*)" + WORDS,
    "Models, usage, and the route report of a turn": r"gpt-4o-mini(?s:.*)is up(?s:.*)usd",
}
"""What each example prints, whatever its language."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    javascript_kits()
    settings = {"GANGLION_TELEMETRY": "none", "GANGLION_FLEET": str(FLEET), "GANGLION_DEFAULT_OUTPUT_TOKENS": BRIEF}
    with LocalCluster(
        ClusterOptions(data=tmp_path_factory.mktemp("cluster"), rate=200, environment=settings)
    ) as started:
        yield started


def name_of(example: Example) -> str:
    return f"{example.title}, {example.language}"


def test_each_part_of_the_page_has_an_example_in_each_language() -> None:
    given = {(example.title, example.language) for example in examples()}
    assert given == {(title, language) for title in SHOWN for language in LANGUAGES}
    assert set(beginnings()) == set(LANGUAGES)


@pytest.mark.campaign
@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", examples(), ids=name_of)
async def test_an_example_of_the_page_runs_as_it_stands(
    example: Example, cluster: LocalCluster, tmp_path: Path
) -> None:
    printed = await printed_by(example, cluster.port, tmp_path)
    assert re.search(SHOWN[example.title], printed, re.MULTILINE), printed[-3000:]
