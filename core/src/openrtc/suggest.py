"""Says what a mistyped word was most likely meant to be."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_WORD = 200
"""Characters of a word that may be a slip; a caller may write one of 64 KB, which would take 40 ms for 50 agents."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that ``word`` was most likely meant to be, if any is near."""
    if len(word) > LONGEST_WORD:
        return None
    from difflib import get_close_matches  # costs milliseconds that only a mistake should pay

    near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return ``did you mean "x"?``, or ``otherwise`` when nothing known is near ``word``."""
    near = closest(word, known)
    return f'did you mean "{near}"?' if near else otherwise
