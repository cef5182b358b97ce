"""Text as it can be spoken: no markup, no emoji, in pieces short enough that the first audio comes early."""

from __future__ import annotations

import re
import unicodedata

LONGEST_PIECE = 240

_MARKUP = (
    (re.compile(r"```\w*\n?|`"), ""),
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>]{0,200}>"), " "),
    (re.compile(r"(?m)^\s{0,3}(?:#{1,6}|[-*+]|>)\s+"), ""),
    (re.compile(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"https?://(?:www\.)?([^\s/]+)\S*"), r"\1"),
)
_SYMBOLS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": ", ", "…": ".", "_": " ", "|": " "})


def speakable(text: str) -> str:
    """Return ``text`` without markup, emoji and control characters; empty when nothing can be pronounced."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    kept = "".join(c if _is_spoken(c) else " " for c in text.translate(_SYMBOLS))
    folded = " ".join(kept.split())
    return folded if any(c.isalnum() for c in folded) else ""


def pieces(text: str) -> list[str]:
    """Return clean ``text`` cut at sentence ends; a very long sentence is cut at a comma or a space."""
    sentences = re.split(r"(?<=[.!?;:])\s+", text)
    return [piece for sentence in sentences for piece in _cut(sentence) if any(c.isalnum() for c in piece)]


def _cut(sentence: str) -> list[str]:
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
