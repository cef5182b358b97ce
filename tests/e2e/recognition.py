"""What was said in a recording: any English sentence, or one of some sentences, or none of them."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from e2e.child import Child
from e2e.pcm import Pcm
from e2e.spoken_words import words

# Sentences that a voice agent may well say, but that no test expects: what is none of the expected ones fits one of
# these better, or nothing at all.
OTHERS = (
    "sorry i did not understand that",
    "i do not know the answer to your question",
    "please hold the line while i look for somebody who can help",
    "hello how can i help you today",
    "thank you for calling and goodbye",
    "could you please say that again",
    "the weather is cold and rainy today",
    "your table for four people is reserved",
    "something went wrong and i cannot answer",
    "what else would you like to know",
)
WORST_FIT = -1.6
"""Sentences that were said fit -1.2 or better (see test_hearing); other ones rarely reach their own end at all."""


class Recogniser:
    """Recognises speech."""

    def __init__(self) -> None:
        self._child = Child("e2e.sphinx_child")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close()

    def transcribe(self, sound: Pcm) -> str:
        """Return what was said, whatever it was; takes a second or more, and errs in one word of ten."""
        answer, _ = self._child.ask({"sentences": None}, sound.tobytes())
        return str(answer["text"])

    def which(self, sound: Pcm, sentences: Iterable[str]) -> str | None:
        """Return which of ``sentences`` was said from beginning to end, or None when it was none of them.

        Sentences that differ in one word are distinguished only when all of them are given.

        Raises:
            ValueError: A word is not in the recogniser's dictionary.
        """
        by_words = {" ".join(words(sentence)): sentence for sentence in sentences}
        text, fit = self.best(sound, [*by_words, *OTHERS])
        return by_words.get(text) if fit >= WORST_FIT else None

    def best(self, sound: Pcm, sentences: Iterable[str]) -> tuple[str, float]:
        """Return the words of the sentence that fits best, perhaps without its end, and how well it fits.

        The fit is 0 when the sentence explains the sound as well as free sounds do; it is negative otherwise.
        """
        request = {"sentences": [" ".join(words(sentence)) for sentence in sentences]}
        answer, _ = self._child.ask(request, sound.tobytes())
        if "error" in answer:
            raise ValueError(answer["error"])
        return str(answer["text"]), float(answer["fit"])
