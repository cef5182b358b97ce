"""Which member answers a person, and which one speaks next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from openrtc.model.agents import HumanTurn


def find_answering_role(policy: str, turn: HumanTurn) -> str:
    """Return the role of the member that answers by one of the policies of `ANSWERS`."""
    if policy == "addressed":
        return find_addressed_role(turn.text, turn.names) or turn.lead
    return turn.last_speaker if policy == "last_speaker" else turn.lead


def find_addressed_role(text: str, names: Mapping[str, str]) -> str | None:
    """Return the role of the member that is called first by its name or role in ``text``, if any.

    Args:
        text: What was said.
        names: The name of each member that may be meant, by its role.
    """
    found = {role: min(_find_places(text, (role, name)), default=None) for role, name in names.items()}
    called = {role: place for role, place in found.items() if place is not None}
    return min(called, key=lambda role: called[role]) if called else None


def find_next_role(speaker: str, roles: Sequence[str]) -> str | None:
    """Return the role that comes after ``speaker`` in the order of the cast, None when there is no other."""
    if speaker not in roles:
        return roles[0] if roles else None
    following = [*roles[roles.index(speaker) + 1 :], *roles[: roles.index(speaker)]]
    return following[0] if following else None


def _find_places(text: str, words: Sequence[str]) -> list[int]:
    # Speech recognition writes "night porter" where the role is "night-porter".
    spoken = {word for word in (*words, *(word.replace("-", " ").replace("_", " ") for word in words)) if word}
    matches = (re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in spoken)
    return [match.start() for match in matches if match]
