"""Says what a mistyped word was most likely meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that ``word`` was most likely meant to be, if any is near."""
    from difflib import get_close_matches  # costs milliseconds that only a mistake should pay

    near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return ``did you mean "x"?``, or ``otherwise`` when nothing known is near ``word``."""
    near = closest(word, known)
    return f'did you mean "{near}"?' if near else otherwise
