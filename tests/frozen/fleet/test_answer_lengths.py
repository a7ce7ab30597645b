"""Does this release read and write the lengths of answers as the first release did?"""

from clients.storage.port import Container
from domain.routing.answer_lengths import AnswerLengths
from state.fleet.answer_lengths import ANSWERS
from tests.frozen.documents import as_json, frozen

LENGTHS = AnswerLengths(models={"small": (12, 40, 35)}, threads={"a" * 24: {"small": (12, 40)}})


def test_the_lengths_of_answers_are_read_and_written_as_they_were() -> None:
    document = frozen(Container.MONEY, "answers")
    found = AnswerLengths.from_document(document.body)
    assert as_json(found.to_document()) == as_json(LENGTHS.to_document())
    written = {"kind": ANSWERS, "v": 1, "at": document.body["at"], **as_json(found.to_document())}
    assert (document.id, written) == (ANSWERS, document.body)
