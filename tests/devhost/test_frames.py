"""Are messages decoded correctly however the pipe splits them?"""

from hypothesis import given
from hypothesis import strategies as st

from devhost.frames import Header, Pipe, encode

messages = st.lists(
    st.tuples(st.dictionaries(st.text(max_size=5), st.integers() | st.text() | st.none()), st.binary(max_size=50)),
    max_size=8,
)


@given(sent=messages, cuts=st.lists(st.integers(min_value=1, max_value=40), min_size=1))
def test_every_message_arrives_once_and_whole(sent: list[tuple[Header, bytes]], cuts: list[int]) -> None:
    received: list[tuple[Header, bytes]] = []
    pipe = Pipe(lambda header, body: received.append((header, body)), lambda: None)
    stream = b"".join(encode(header, body) for header, body in sent)
    position = 0
    while position < len(stream):
        size = cuts[position % len(cuts)]
        pipe.data_received(stream[position : position + size])
        position += size
    assert received == sent


def test_waiters_are_notified_of_completion() -> None:
    ends: list[bool] = []
    pipe = Pipe(lambda _header, _body: None, lambda: ends.append(True))
    pipe.connection_lost(None)
    pipe.send({"late": 1})
    assert ends == [True]
