"""Text as it can be spoken: no markup, no emoji, in pieces short enough that the first audio comes early."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LONGEST_PIECE = 240
"""Characters that are synthesised at once: the first audio waits for the whole piece."""

LONGEST_BLOCK = 2000
"""Characters that are cleaned at once, for some milliseconds, on the loop that all calls share."""

_MARKUP = (  # each with a limit to what it looks ahead, since it does so from every character on
    (re.compile(r"```\w*\n?|`"), ""),
    (re.compile(r"!?\[([^\]]{0,300})\]\([^)]{0,1000}\)"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>]{0,200}>"), " "),
    (re.compile(r"(?m)^\s{0,3}(?:#{1,6}|[-*+]|>)\s+"), ""),
    (re.compile(r"(\*\*|__|~~)(?=\S)(.{1,300}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(?=\S)(.{1,300}?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"https?://(?:www\.)?([^\s/]+)\S*"), r"\1"),
)
_SYMBOLS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": ", ", "…": ".", "_": " ", "|": " "})


def clean_text(text: str) -> str:
    """Return ``text`` without markup, emoji and control characters; empty when nothing can be pronounced."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    kept = "".join(c if _is_spoken(c) else " " for c in text.translate(_SYMBOLS))
    folded = " ".join(kept.split())
    return folded if any(c.isalnum() for c in folded) else ""


def split_blocks(text: str) -> Iterator[str]:
    """Yield ``text`` in parts that are short enough for `clean_text`, cut at a line's end or a space."""
    start = 0
    while len(text) - start > LONGEST_BLOCK:
        end = start + LONGEST_BLOCK
        cut = max(text.rfind("\n", start, end), text.rfind(" ", start, end)) + 1 or end
        yield text[start:cut]
        start = cut
    yield text[start:]


def split_text(text: str) -> list[str]:
    """Return clean ``text`` cut at sentence ends; a very long sentence is cut at a comma or a space."""
    sentences = re.split(r"(?<=[.!?;:])\s+", text)
    return [piece for sentence in sentences for piece in _cut_sentence(sentence) if any(c.isalnum() for c in piece)]


def _cut_sentence(sentence: str) -> list[str]:
    cut: list[str] = []
    while len(sentence) > LONGEST_PIECE:
        end = max(sentence.rfind(", ", 0, LONGEST_PIECE) + 1, 0) or sentence.rfind(" ", 0, LONGEST_PIECE)
        end = end if end > 0 else LONGEST_PIECE
        cut.append(sentence[:end].strip())
        sentence = sentence[end:].strip()
    return [*cut, sentence]


def _is_spoken(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LNPZM" or category in ("Sc", "Sm") or character.isspace()
