"""Sentences that a caller may say to an agent, made from its vocabulary: what the language model learns from."""

from __future__ import annotations

from collections.abc import Iterator

from openrtc_offline.recognition import caller_phrases as say
from openrtc_offline.recognition.vocabulary import Vocabulary

LINKS = ("of", "for", "with", "by", "in", "on", "at", "from", "to", "about", "and", "or", "when", "that", "this", "per")
ARTICLES = {"the", "a", "an", "my", "your", "our", "its", "their", "his", "her", "this", "that", "any", "some"}
PERSONS = {"customer": "i", "caller": "i", "user": "i", "client": "i"}

# How often each kind of sentence is counted: what an agent's author expects outweighs what anybody may say.
EXAMPLE_WEIGHT = 30.0
PHRASE_WEIGHT = 6.0
CARRIED_WEIGHT = 1.5
EVERYDAY_WEIGHT = 3.0
SLOT_WEIGHT = 1.0


def build_sentences(vocabulary: Vocabulary) -> Iterator[tuple[str, float]]:
    """Yield sentences with their weights."""
    for example in vocabulary.examples:
        yield example, EXAMPLE_WEIGHT
    for action in vocabulary.actions:
        yield from _vary_action(action)
    for thing in vocabulary.things:
        for part in _split_parts(thing):
            yield from _vary_thing(part)
    yield from _list_slots(vocabulary)
    for sentence in say.EVERYDAY:
        yield sentence, EVERYDAY_WEIGHT


def _vary_action(action: str) -> Iterator[tuple[str, float]]:
    for said in _turn_to_caller(action):
        yield said, PHRASE_WEIGHT
        for before in say.BEFORE_AN_ACTION:
            yield f"{before} {said}", CARRIED_WEIGHT
        for after in say.AFTER:
            yield f"{said} {after}", CARRIED_WEIGHT


def _vary_thing(thing: str) -> Iterator[tuple[str, float]]:
    core = _strip_article(thing)
    if not core:
        return
    yield core, PHRASE_WEIGHT
    for before in say.BEFORE_A_THING:
        yield f"{before} {thing}", CARRIED_WEIGHT
        yield f"{before} {core}", CARRIED_WEIGHT / 2
    for determiner in say.DETERMINERS:
        yield f"what is {determiner} {core}", CARRIED_WEIGHT
        yield f"{determiner} {core} please", CARRIED_WEIGHT
    for link in ("of", "for", "about", "with", "in", "on", "by", "to"):
        yield f"it is {link} {_turn_determiners(thing)}", SLOT_WEIGHT


def _list_slots(vocabulary: Vocabulary) -> Iterator[tuple[str, float]]:
    for phrase in [*say.list_numbers(), *say.list_times(), *say.list_names()]:
        yield phrase, SLOT_WEIGHT
    for value in vocabulary.values:
        for sentence in (value, f"the {value} please", f"i would like {value}", f"for {value}", f"in {value}"):
            yield sentence, PHRASE_WEIGHT
    for name in vocabulary.numbered:
        yield from ((f"{lead} {name} is {digit}", SLOT_WEIGHT) for digit in say.DIGITS for lead in ("my", "the"))
        yield from ((f"{name} {digit}", SLOT_WEIGHT) for digit in say.DIGITS)
        yield from ((f"{name.rpartition(' ')[0]} number {digit}", SLOT_WEIGHT) for digit in say.DIGITS)
    for name in vocabulary.counted:
        yield from ((f"for {digit} {name}", SLOT_WEIGHT) for digit in say.DIGITS)


def _turn_to_caller(action: str) -> list[str]:
    turned = _turn_determiners(action)
    return list(dict.fromkeys([action, turned, _turn_persons(turned)]))


def _turn_determiners(phrase: str) -> str:
    """``an order by its number`` is said as ``my order by my number``."""
    return " ".join("my" if word in ("a", "an", "its", "their", "the") else word for word in phrase.split())


def _turn_persons(phrase: str) -> str:
    return " ".join(PERSONS.get(word, word) for word in phrase.split())


def _split_parts(phrase: str) -> list[str]:
    """Return the phrase and its parts between linking words, alone and in neighbouring pairs."""
    tokens = phrase.split()
    cuts = [0, *(i for i, word in enumerate(tokens) if word in LINKS), len(tokens)]
    parts = [tokens[a:b] for i, a in enumerate(cuts[:-1]) for b in cuts[i + 1 : i + 3]]
    trimmed = [" ".join(part[1:] if part and part[0] in LINKS else part) for part in parts]
    compound = [
        f"{_strip_article(right)} {_strip_article(left)}" for left, link, right in _find_links(tokens) if link == "of"
    ]
    return list(dict.fromkeys(part for part in [phrase, *trimmed, *compound] if part))


def _find_links(tokens: list[str]) -> Iterator[tuple[str, str, str]]:
    for i, word in enumerate(tokens):
        if word in LINKS:
            before = [t for t in tokens[:i] if t not in LINKS]
            after = tokens[i + 1 :]
            stop = next((j for j, t in enumerate(after) if t in LINKS), len(after))
            yield " ".join(before[-3:]), word, " ".join(after[:stop])


def _strip_article(phrase: str) -> str:
    tokens = phrase.split()
    while tokens and tokens[0] in ARTICLES:
        tokens = tokens[1:]
    return " ".join(tokens)
