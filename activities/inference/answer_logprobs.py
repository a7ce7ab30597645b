"""Which log probabilities belong to the text that a run of an attempt adds to the log?"""

from collections.abc import Iterator, Sequence
from copy import replace

from clients.backends.port import BackendError, Channel, TextPiece
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.resume_text import TextDelta
from domain.log.token_logprobs import MOST_DOCUMENT_BYTES, TokenLogprob, tokens_covering

type Tokens = tuple[TokenLogprob, ...]


class AnswerLogprobs:
    """The log probabilities of one run's answer, with `top` options for each token; None where nobody asked for them.

    `repeated` are those of the text that the log already has from an earlier run.
    """

    def __init__(self, top: int | None) -> None:
        self.top = top
        self.repeated: Tokens = ()
        self.has_some = False

    def check(self, pieces: Sequence[TextPiece]) -> None:
        """Raise BackendError where the answer begins without the log probabilities that the caller asked for."""
        texts = [piece for piece in pieces if piece.channel is Channel.ANSWER]
        if self.top is None or self.has_some or not texts:
            return
        if not any(piece.logprobs for piece in texts):
            raise BackendError(Failure(kind=FailureKind.NO_LOGPROBS, text_received=True))
        self.has_some = True

    def of(self, pieces: Sequence[TextPiece]) -> Tokens:
        """Return those of the pieces, as many as the caller asked for."""
        top = self.top
        if top is None:
            return ()
        return tuple(replace(token, options=token.options[:top]) for piece in pieces for token in piece.logprobs)

    def added(self, delta: TextDelta, tokens: Tokens) -> TextDelta:
        """Return the delta that a text with these tokens became, with its log probabilities."""
        if delta.starts_new_item:
            return replace(delta, logprobs=(*self.repeated, *tokens))
        new = tokens_covering(tokens, delta.text)
        self.repeated += tokens[: len(tokens) - len(new)]
        return replace(delta, logprobs=new)

    def ended(self, delta: TextDelta) -> TextDelta:
        """Return the delta of an answer that ended within the text in the log, with its log probabilities."""
        return replace(delta, logprobs=self.repeated) if delta.starts_new_item else delta


def storable(pieces: Sequence[TextPiece]) -> Iterator[Sequence[TextPiece]]:
    """Yield the pieces in runs whose log probabilities fit into one document each; at least one, which can be empty."""
    run: list[TextPiece] = []
    size = 0
    for piece in pieces:
        added = sum(token.size for token in piece.logprobs)
        if run and size + added > MOST_DOCUMENT_BYTES:
            yield run
            run, size = [], 0
        run.append(piece)
        size += added
    yield run
