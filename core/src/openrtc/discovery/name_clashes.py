"""Two distributions, one name: both are shown, none is chosen silently, one `prefer` line settles it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from openrtc.errors import one_line
from openrtc.model.names import normalise_name
from openrtc.model.status import READY, State, Status

THIS_PROGRAM = "this program"
"""Takes the place of a distribution for agents registered in code."""


class Claim(Protocol):
    """Something that claims a name: an entry point before loading, an agent after it."""

    @property
    def name(self) -> str: ...
    @property
    def distribution(self) -> str: ...


ClaimT = TypeVar("ClaimT", bound=Claim)


def settle_name_clashes(
    items: Iterable[ClaimT],
    prefer: Mapping[str, str],
    *,
    claims: Callable[[ClaimT], bool],
    replace_status: Callable[[ClaimT, Status], ClaimT],
    what: str = "an agent",
) -> list[ClaimT]:
    """Return ``items``; of those that claim one name, the preferred one is left as it is, else all are conflicts.

    Args:
        items: Entry points or agents.
        prefer: Which distribution wins a name.
        claims: Whether an item claims its name; one that cannot be used anyway does not.
        replace_status: Returns an item with another status.
        what: What has the name.
    """
    listed = list(items)
    rivals: dict[str, list[str]] = {}
    for item in listed:
        if claims(item):
            rivals.setdefault(item.name, []).append(item.distribution)

    def settle(item: ClaimT) -> ClaimT:
        if not claims(item) or len(rivals[item.name]) < 2:
            return item
        verdict = _judge(item, rivals[item.name], prefer, what)
        return item if verdict is READY else replace_status(item, verdict)

    return [settle(item) for item in listed]


def _judge(item: Claim, rivals: list[str], prefer: Mapping[str, str], what: str) -> Status:
    """Return where an item stands whose name all ``rivals`` claim; READY for the preferred one."""
    name, distribution, winner = item.name, item.distribution, prefer.get(item.name)
    keys = [normalise_name(rival) for rival in rivals]
    if winner is not None and keys.count(winner) == 1:
        if normalise_name(distribution) == winner:
            return READY
        reason = f'prefer gives the name "{name}" to {winner}'
        return Status(State.DISABLED, reason, f'take "{name}" out of prefer, or name {distribution} there')
    others = sorted({rival for rival in rivals if normalise_name(rival) != normalise_name(distribution)})
    if not others:
        return Status(State.CONFLICT, f'{distribution} brings "{name}" more than once', "rename one of them")
    choice = next(normalise_name(rival) for rival in rivals if rival != THIS_PROGRAM)
    reason = one_line(f'{", ".join(others)} also {"brings" if len(others) == 1 else "bring"} {what} "{name}"')
    shown = f'"{name}"' if "." in name else name
    return Status(State.CONFLICT, reason, f'in openrtc.toml: [plugins.prefer] {shown} = "{choice}"')
