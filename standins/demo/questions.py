"""What does the demo ask, of a real and of the scripted model?"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    first: str
    second: str
    long: str
    about_the_first: str
    private: str


QUESTIONS: Mapping[str, Questions] = {
    "real": Questions(
        first="My name is Ada. What is the largest ocean on Earth?",
        second="And the smallest?",
        long="Tell me a story about a lighthouse keeper.",
        about_the_first="What was my first question?",
        private="How many months does the warranty of the telescope last?",
    ),
    "scripted": Questions(
        first="ECHO The Pacific Ocean.",
        second="ECHO The Arctic Ocean.",
        long="COUNT 100",
        about_the_first="RECALL",
        private="FACT warranty",
    ),
}
