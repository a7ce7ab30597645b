"""Does the check for banned phrases find them where a reader would, and only there?"""

import pytest

from scripts.phrases import LIST, banned_phrases, hits

PHRASES = ["purple moon"]


def found(path: str, source: str) -> list[str]:
    return [hit.partition(" ")[0] for hit in hits(path, source, PHRASES)]


@pytest.mark.parametrize(
    "source",
    [
        '"""The name purple moon."""\n',
        'raise ValueError(f"the name {name} purple moon")\n',
        'raise ValueError("the name purple " "Moon")\n',
        '"""The name purple\n    moon."""\n',
    ],
)
def test_a_banned_phrase_is_found_in_docstrings_and_messages(source: str) -> None:
    assert found("a.py", source) == ["a.py:1:"]


def test_a_phrase_that_wraps_is_reported_at_the_first_line_of_its_paragraph() -> None:
    assert found("a.md", "# Title\n\nSome words.\nThe name purple\nmoon here.\n") == ["a.md:3:"]


def test_a_phrase_is_reported_at_its_own_line() -> None:
    assert found("a.md", "Some words.\nThe purple moon.\n") == ["a.md:2:"]


def test_two_paragraphs_do_not_make_one_phrase() -> None:
    assert found("a.md", "The name purple\n\nmoon here.\n") == []


@pytest.mark.parametrize("source", ["purple_moon = 1\n", "name = 1  # purple moon\n", '"in purple moonlight"\n'])
def test_names_comments_and_longer_words_are_no_hits(source: str) -> None:
    assert found("a.py", source) == []


def test_a_comment_permits_a_phrase_on_its_own_line_alone() -> None:
    source = 'first = "purple moon"  # phrase: allowed\nsecond = "purple moon"\n'
    assert found("a.py", source) == ["a.py:2:"]
    assert found("a.md", "It purple moon. <!-- phrase: allowed -->\n\nIt purple moon.\n") == ["a.md:3:"]


def test_the_list_holds_at_most_twenty_whole_phrases() -> None:
    phrases = banned_phrases(LIST.read_text(encoding="utf-8"))
    assert 0 < len(phrases) <= 20
    assert [phrase for phrase in phrases if len(phrase.split()) < 2] == []
    assert len(set(phrases)) == len(phrases)
