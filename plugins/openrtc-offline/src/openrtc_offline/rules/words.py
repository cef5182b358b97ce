"""Compares words as a listener does: by stem, by meaning, and by closeness where one was misheard."""

from __future__ import annotations

import re
from functools import lru_cache

STOP_WORDS = frozenset(
    "a an the of to for on at in is are am was were be been it its it's i i'm i'd me my mine we our us you your "
    "please would like could can do does did will shall should may might that this these those there here with and or "
    "but by from as so if then than too very just also about into up out over under not no yes okay what what's which "
    "who whose whom when where how why much many any some all every each one's he she they them their his her have has "
    "had having let lets let's oh uh um hello hi hey thank thanks goodbye bye".split()
)
WEAK_WORDS = frozenset(
    "tell say give get know want need make take show see go come help ask speak talk use return call find look check "
    "let provide fetch retrieve list start set put new good current given number name day today time thing item "
    "people person user customer caller client agent information detail question service company one two three four "
    "five six seven eight nine ten zero".split()
)
WEAK = 0.4
"""What a weak word counts, beside 1 for others."""

SYNONYMS = (
    "price cost fee charge rate expensive cheap how_much pay",
    "hours hour schedule open close opening closing what_time when",
    "location address place where directions near nearest closest",
    "book reserve reservation booking appointment schedule arrange",
    "cancel cancellation remove delete drop",
    "change modify update move reschedule edit",
    "order purchase parcel package shipment delivery",
    "buy purchase order",
    "status state progress track tracking whereabouts",
    "invoice bill statement",
    "balance money amount account funds",
    "weather forecast rain sunny snow temperature hot cold cloudy wind",
    "human person representative operator somebody someone agent",
    "transfer send wire pay",
    "refund reimburse money",
    "phone telephone call contact",
    "email mail",
    "doctor physician appointment",
    "medicine prescription drug medication pill",
    "food meal dish menu eat",
    "room hotel accommodation",
    "flight plane fly trip",
    "car vehicle auto driver ride taxi cab",
    "begin start open",
    "stop end finish",
    "repair fix broken mend",
    "problem issue trouble complaint",
    "quote offer estimate discount deal",
    "stock available availability inventory",
    "joke funny laugh",
    "news headline",
    "time clock hour",
    "date day calendar",
    "event meeting calendar",
    "recommend suggest recommendation suggestion",
    "describe explain description",
    "search find lookup look",
    "secret hidden password code",
    "sign register enroll subscribe join",
    "size big large",
    "child kid",
    "warranty guarantee",
    "shipping delivery ship deliver arrive",
)
SYNONYM_PHRASES = {
    "how much": "how_much",
    "what time": "what_time",
    "how expensive": "how_much",
    "sign up": "register",
    "look up": "search",
}


def split_words(text: str) -> list[str]:
    """Return the lower-case words and numbers in ``text``."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?", text.lower().replace("’", "'").replace("_", " "))


def find_stems(text: str) -> list[str]:
    """Return the stems of the words in ``text`` that carry meaning, in order."""
    return [
        stem(word.removesuffix("'s")) for word in split_words(text) if word not in STOP_WORDS and not word.isdigit()
    ]


def weigh_stem(stemmed: str) -> float:
    """Return how much a shared word says: little for ``get`` or ``day``, 1 for others."""
    return WEAK if stemmed in _WEAK_STEMS else 1.0


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Return the word without its inflection: ``bookings``, ``booked`` and ``book`` are one."""
    for suffix, replacement in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return _undouble(word[: len(word) - len(suffix)] + replacement)
    return word


_SUFFIXES = tuple(
    pair.split("=")
    for pair in (
        "ations=|ation=|itions=|ition=|ments=|ment=|tions=t|tion=t|ings=|ing=|ies=i|ied=i|sses=ss|ers=|er=|ed=|es=|ss=ss|"
        "us=us|'s=|s=|e=|ly=|y=i"
    ).split("|")
)


def _undouble(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz" else word


_WEAK_STEMS = frozenset(stem(word) for word in WEAK_WORDS)


def find_meanings(text: str) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Return for each group of words of like meaning that ``text`` touches: what was said of it, and the rest of it."""
    spoken = " ".join(split_words(text))
    heard = {stem(word) for word in spoken.split()} | {
        mark for phrase, mark in SYNONYM_PHRASES.items() if phrase in spoken
    }
    return [(group & heard, group - heard) for group in _SYNONYM_STEMS if group & heard]


_SYNONYM_STEMS = tuple(frozenset(word if "_" in word else stem(word) for word in group.split()) for group in SYNONYMS)


@lru_cache(maxsize=16384)
def compare_stems(heard: str, meant: str) -> float:
    """Return how alike two stems are, from 0 to 1; 1 when they are the same, 0 when they merely share letters."""
    if heard == meant:
        return 1.0
    shorter = min(len(heard), len(meant))
    if shorter < 4:
        return 0.0
    if heard.startswith(meant) or meant.startswith(heard):
        return 0.8 if shorter >= 5 or abs(len(heard) - len(meant)) <= 2 else 0.0
    if shorter < 5 or (heard[0] != meant[0] and encode_sound(heard[0]) != encode_sound(meant[0])):
        return 0.0
    longer = max(len(heard), len(meant))
    if longer - shorter <= longer / 4:  # else so many letters are missing that counting them cannot make the two alike
        likeness = 1 - count_edits(heard, meant) / longer
        if likeness >= 0.75:
            return likeness * 0.9
    return 0.6 if encode_sound(heard) == encode_sound(meant) else 0.0


def count_edits(a: str, b: str) -> int:
    """Return how many letters must be changed, added or left out to make ``b`` of ``a``."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, above = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


_SOUNDS = str.maketrans("bpfvcgjkqsxzdtlmnr", "11112222222233455" + "6")


def encode_sound(word: str) -> str:
    """Return the consonants of a word by how they sound, repeated ones once."""
    coded = re.sub("[aeiouyhw]", "", word.replace("ph", "f")).translate(_SOUNDS)
    return word[0].translate(_SOUNDS) + re.sub(r"(.)\1+", r"\1", coded)
