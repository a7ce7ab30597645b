"""Which tokenizers do tests count with? One that counts words, and a small one of the real library."""

from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "weather", "Donaudampfschifffahrt", "12345")


class WordTokenizer:
    """Counts words. Loads when `finish_loading` is called, or at once where it `is_loaded` from the start."""

    def __init__(self, *, is_loaded: bool = True) -> None:
        self.is_loaded = is_loaded
        self.waited_s: list[float] = []
        self.counted: list[str] = []

    def begin_loading(self) -> None:
        """Nothing is loaded in the background."""

    async def loaded(self, within_s: float) -> bool:
        self.waited_s.append(within_s)
        self.is_loaded = self.is_loaded or within_s > 0
        return self.is_loaded

    def count(self, text: str) -> int:
        self.counted.append(text)
        return len(text.split())


def train(path: Path) -> Path:
    """Write a `tokenizer.json`: byte-level BPE in which each of the words, with the space before it, is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet, show_progress=False, min_frequency=1)
    tokenizer.train_from_iterator([" ".join(WORDS * 3)], trainer)
    tokenizer.save(str(path))
    return path
