"""Do the chunks that run at once have the width of their batch together?"""

import pytest

from domain.batches.width import MOST, chunks_at_once


@pytest.mark.parametrize("width", range(1, MOST + 1))
def test_chunks_share_the_width_in_equal_parts(width: int) -> None:
    number = chunks_at_once(width)
    assert 1 <= number <= 4
    assert number * -(-width // number) == width


@pytest.mark.parametrize(("width", "chunks"), [(1, 1), (6, 3), (7, 1), (8, 4), (12, 4), (32, 4)])
def test_as_many_chunks_run_at_once_as_can_share_it(width: int, chunks: int) -> None:
    assert chunks_at_once(width) == chunks
