"""Is the delay of a word measured in the time in which all streams carry words?"""

from benches.streams.readers import HeardStream, HeardStreams, stamps_in


def test_a_stamp_is_read_from_frames_with_text_alone() -> None:
    stamp = b"1795176000.123456"
    assert stamps_in(b'event: response.output_text.delta\ndata: {"delta": " ' + stamp + b'"}') == [1795176000.123456]
    assert stamps_in(b'data: {"choices": [{"delta": {"content": "' + stamp + b" " + stamp + b'"}}]}') == [
        1795176000.123456,
        1795176000.123456,
    ]
    assert stamps_in(b'event: response.created\ndata: {"created_at": ' + stamp + b"}") == []


def test_words_count_while_every_stream_carries_some() -> None:
    early = HeardStream(words=[(1.0, 1.5), (2.0, 2.25), (3.0, 3.5)])
    late = HeardStream(words=[(2.0, 2.0), (3.0, 3.0), (4.0, 4.125)])
    found = HeardStreams(through=[early], straight=[late])
    assert found.window == (2.0, 3.5)
    assert found.lags_ms(found.through) == [250.0, 500.0]
    assert found.lags_ms(found.straight) == [0.0, 0.0]
