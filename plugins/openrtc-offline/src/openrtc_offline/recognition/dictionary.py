"""The pronouncing dictionary that pocketsphinx brings, read on demand.

The decoder itself gets only the words that it needs: every language model that is loaded costs memory and time for
each word of the decoder's dictionary, and the whole one has 134,000.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from pocketsphinx import get_model_path

from openrtc_offline.recognition.pronunciation import pronounce


class Dictionary:
    """Pronunciations of English words; of unknown ones a guess."""

    @cached_property
    def _entries(self) -> dict[str, str]:
        lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)

    @property
    def words(self) -> list[str]:
        """All words that are written with letters and apostrophes."""
        return [word for word in self._entries if re.fullmatch(r"[a-z]+('[a-z]+)?", word)]

    def find_pronunciations(self, word: str) -> list[tuple[str, str]]:
        """Return how ``word`` is said: ``[("read", "R EH D"), ("read(2)", "R IY D")]``."""
        known = [(word, phones)] if (phones := self._entries.get(word)) else []
        known += [(name, self._entries[name]) for i in range(2, 6) if (name := f"{word}({i})") in self._entries]
        if known:
            return known
        guess = pronounce(word, self._entries.get)
        return [(word, guess)] if guess else []

    def write(self, path: Path, words: Iterable[str]) -> None:
        """Write the dictionary of ``words`` alone, as a decoder reads it."""
        lines = [f"{name} {phones}" for word in sorted(words) for name, phones in self.find_pronunciations(word)]
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
