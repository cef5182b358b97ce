"""Pronunciations of words that the dictionary lacks: names, products, compounds; by parts, else letter by letter."""

from __future__ import annotations

import re
from collections.abc import Callable

Lookup = Callable[[str], str | None]

LETTER_NAMES = dict(
    pair.split("=")
    for pair in (
        "a=EY|b=B IY|c=S IY|d=D IY|e=IY|f=EH F|g=JH IY|h=EY CH|i=AY|j=JH EY|k=K EY|l=EH L|m=EH M|n=EH N|o=OW|p=P IY|"
        "q=K Y UW|r=AA R|s=EH S|t=T IY|u=Y UW|v=V IY|w=D AH B AH L Y UW|x=EH K S|y=W AY|z=Z IY"
    ).split("|")
)
# First match wins: longer spellings stand before shorter ones.
SPELLINGS = tuple(
    pair.split("=")
    for pair in (
        "tion=SH AH N|sion=ZH AH N|ture=CH ER|ight=AY T|ough=AO|augh=AO|eau=OW|sch=SH|tch=CH|dge=JH|igh=AY|ing$=IH NG|"
        "que$=K|kn=N|wr=R|ph=F|sh=SH|ch=CH|th=TH|wh=W|ck=K|ng=NG|qu=K W|gh=G|ee=IY|ea=IY|oo=UW|ou=AW|ow=OW|oi=OY|oy=OY|"
        "ai=EY|ay=EY|ey=IY|ie=IY|ei=AY|au=AO|aw=AO|oa=OW|ue=UW|ui=UW|er=ER|ir=ER|ur=ER|ar=AA R|or=AO R|ce=S EH|ci=S IH|"
        "cy=S IY|ge=JH EH|gi=JH IH|y$=IY|o$=OW|a$=AH|i$=IY|x=K S|a=AE|b=B|c=K|d=D|e=EH|f=F|g=G|h=HH|i=IH|j=JH|k=K|l=L|"
        "m=M|n=N|o=AA|p=P|q=K|r=R|s=S|t=T|u=AH|v=V|w=W|y=Y|z=Z"
    ).split("|")
)
LONG_VOWELS = {"AE": "EY", "EH": "IY", "IH": "AY", "AA": "OW", "AH": "UW"}
VOICELESS = {"P", "T", "K", "F", "TH"}
SIBILANTS = {"S", "Z", "SH", "ZH", "CH", "JH"}


def pronounce(word: str, lookup: Lookup) -> str | None:
    """Return the phones of ``word`` (ARPAbet, space between), or None when it has no letters.

    Args:
        word: A lower-case word.
        lookup: Finds the phones of a word in the dictionary.
    """
    letters = re.sub(r"[^a-z]", "", word)
    if not letters:
        return None
    return (
        _pronounce_inflection(letters, lookup)
        or _pronounce_compound(letters, lookup)
        or _spell_acronym(letters)
        or _pronounce_by_spelling(letters)
    )


def _pronounce_inflection(word: str, lookup: Lookup) -> str | None:
    for suffix in ("s", "es", "ed", "ing", "er"):
        stem = word.removesuffix(suffix)
        if stem != word and len(stem) > 2:
            phones = lookup(stem) or (lookup(f"{stem}e") if suffix not in ("s", "es") else None)
            if phones:
                return f"{phones} {_pronounce_suffix(suffix, phones.split()[-1])}"
    return None


def _pronounce_suffix(suffix: str, last: str) -> str:
    """Return the phones of a suffix after the phone ``last``."""
    if suffix in ("s", "es"):
        return "IH Z" if last in SIBILANTS else "S" if last in VOICELESS else "Z"
    if suffix == "ed":
        return "IH D" if last in ("T", "D") else "T" if last in VOICELESS | {"S", "SH", "CH"} else "D"
    return {"ing": "IH NG", "er": "ER"}[suffix]


def _pronounce_compound(word: str, lookup: Lookup) -> str | None:
    for cut in range(len(word) - 3, 2, -1):
        head, tail = lookup(word[:cut]), lookup(word[cut:])
        if head and tail:
            return f"{head} {tail}"
    return None


def _spell_acronym(word: str) -> str | None:
    return " ".join(LETTER_NAMES[letter] for letter in word) if not re.search("[aeiouy]", word) else None


def _pronounce_by_spelling(word: str) -> str:
    silent_e = len(word) > 3 and re.search(r"[aeiou][^aeiouwxy]e$", word)
    rest, phones = (word[:-1] if word.endswith("e") and len(word) > 2 else word), []
    while rest:
        spelling, sound = next(pair for pair in SPELLINGS if _is_match(rest, pair[0]))
        phones += sound.split()
        rest = _skip_double(rest, len(spelling.rstrip("$")))
    if silent_e and len(phones) > 1:
        phones[-2] = LONG_VOWELS.get(phones[-2], phones[-2])
    return " ".join(phones)


def _is_match(rest: str, spelling: str) -> bool:
    return rest == spelling[:-1] if spelling.endswith("$") else rest.startswith(spelling)


def _skip_double(rest: str, length: int) -> str:
    after = rest[length:]
    return after[1:] if length == 1 and after[:1] == rest[0] and rest[0] not in "aeiou" else after
