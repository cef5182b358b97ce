"""Who answers a person, and who of the members speaks next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ANSWERS = ("lead", "addressed", "last_speaker")


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTurn:
    """What a person has said, for the choice of who answers.

    Args:
        text: The words.
        names: The name of each member by its role, in the order of the cast; only members that are there.
        lead: Role of the member that answers people by default.
        last_speaker: Role of the member that has spoken last; the lead's before anybody has spoken.
    """

    text: str
    names: Mapping[str, str]
    lead: str
    last_speaker: str


def answering(policy: str, turn: HumanTurn) -> str:
    """Return the role of the member that answers by one of the policies of `ANSWERS`."""
    if policy == "addressed":
        return addressed(turn.text, turn.names) or turn.lead
    if policy == "last_speaker":
        return turn.last_speaker
    return turn.lead


def addressed(text: str, names: Mapping[str, str]) -> str | None:
    """Return the role of the member that is called first by its name or role in ``text``, if any.

    Args:
        text: What was said.
        names: The name of each member that may be meant, by its role.
    """
    found = {role: min(_places(text, (role, name)), default=None) for role, name in names.items()}
    called = {role: place for role, place in found.items() if place is not None}
    return min(called, key=lambda role: called[role]) if called else None


def after(speaker: str, roles: Sequence[str]) -> str | None:
    """Return the role that comes after ``speaker`` in the order of the cast, None when there is no other."""
    if speaker not in roles:
        return roles[0] if roles else None
    following = [*roles[roles.index(speaker) + 1 :], *roles[: roles.index(speaker)]]
    return following[0] if following else None


def _places(text: str, words: Sequence[str]) -> list[int]:
    spoken = {word for word in (*words, *(word.replace("-", " ").replace("_", " ") for word in words)) if word}
    matches = (re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in spoken)
    return [match.start() for match in matches if match]
