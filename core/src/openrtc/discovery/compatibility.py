"""Compares what a distribution requires with what is installed, before anything of it is imported."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from openrtc.discovery.metadata import Installed, Metadata, read_metadata
from openrtc.setting_kinds import normalised

if TYPE_CHECKING:
    from packaging.requirements import Requirement

Versions = Mapping[str, Installed]

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
RELEASE = r"[0-9]+(?:\.[0-9]+)*"
PLAIN = re.compile(rf"({NAME})\s*\(?((?:\s*(?:>=|<=|<|>)\s*{RELEASE}\s*,?)*)\)?")
CLAUSE = re.compile(rf"(>=|<=|<|>)\s*({RELEASE})")
ONLY_EXTRA = re.compile(r"""[^;]*;\s*extra\s*==\s*["']([A-Za-z0-9._-]+)["']\s*""")
COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt}


class Mismatch(NamedTuple):
    """A requirement that is not met, or cannot be read.

    Args:
        reason: What is needed and what is installed.
        fix: The pip command.
        line: The line in METADATA.
        unreadable: Whether the requirement itself is nonsense.
    """

    reason: str
    fix: str
    line: int
    unreadable: bool = False


def first_mismatch(metadata: Metadata, extras: tuple[str, ...], installed: Versions) -> Mismatch | None:
    """Return the first requirement of ``metadata`` (with ``extras``) that what is ``installed`` does not meet."""
    return next(_mismatches(metadata.requires, extras, installed, seen=set()), None)


def _mismatches(
    requires: tuple[tuple[str, int], ...], extras: tuple[str, ...], installed: Versions, seen: set[tuple[str, str]]
) -> Iterator[Mismatch]:
    hard = [(text, line) for text, line in requires if not _plainly_met(text, extras, installed)]
    if not hard:
        return
    from packaging.requirements import InvalidRequirement, Requirement

    for text, line in hard:
        try:
            requirement = Requirement(text)
            if not _applies(requirement, extras):
                continue
        except (InvalidRequirement, ValueError) as error:
            reason = f'requirement "{text}" cannot be read: {str(error).splitlines()[0]}'
            yield Mismatch(reason, "its author must mend Requires-Dist", line, unreadable=True)
            continue
        if mismatch := _mismatch(requirement, line, installed):
            yield mismatch
        else:
            yield from _extras_of(requirement, line, installed, seen)


def _plainly_met(text: str, extras: tuple[str, ...], installed: Versions) -> bool:
    """Whether a requirement of the commonest kinds is met or not asked for; packaging is slow to import.

    Plain release numbers compare like tuples of integers (PEP 440); all else is left to packaging.
    """
    if only := ONLY_EXTRA.fullmatch(text):
        return normalised(only[1]) not in map(normalised, extras)
    plain = PLAIN.fullmatch(text.strip())
    one = installed.get(normalised(plain[1])) if plain else None
    if plain is None or one is None or not re.fullmatch(RELEASE, one.version or ""):
        return False
    return all(COMPARE[sign](*_padded(one.version, limit)) for sign, limit in CLAUSE.findall(plain[2]))


def _padded(one: str, other: str) -> Iterator[list[int]]:
    """Yield two releases as lists of integers of one length."""
    parts = [[int(part) for part in release.split(".")] for release in (one, other)]
    longest = max(map(len, parts))
    return (numbers + [0] * (longest - len(numbers)) for numbers in parts)


def _applies(requirement: Requirement, extras: tuple[str, ...]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _mismatch(requirement: Requirement, line: int, installed: Versions) -> Mismatch | None:
    import shlex

    needed = f"{requirement.name}{requirement.specifier}"
    one = installed.get(normalised(requirement.name))
    fix = f"pip install {shlex.quote(f'{requirement.name} @ {requirement.url}' if requirement.url else needed)}"
    if one is None:
        return Mismatch(f"needs {needed}, which is not installed", fix, line)
    version = one.version or read_metadata(one).version
    if not version or _meets(requirement, version):
        return None
    return Mismatch(f"needs {needed}, and {requirement.name} {version} is installed", fix, line)


def _meets(requirement: Requirement, version: str) -> bool:
    from packaging.version import InvalidVersion

    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _extras_of(
    requirement: Requirement, line: int, installed: Versions, seen: set[tuple[str, str]]
) -> Iterator[Mismatch]:
    """Yield what the extras that a requirement asks for (``livekit-agents[openai]``) need in turn."""
    key = normalised(requirement.name)
    wanted = tuple(extra for extra in sorted(requirement.extras) if (key, extra) not in seen)
    seen.update((key, extra) for extra in wanted)
    if wanted and key in installed:
        only_extras = _lines_of_extras(read_metadata(installed[key]))
        for mismatch in _mismatches(only_extras, wanted, installed, seen):
            whole = f"{requirement.name}[{','.join(wanted)}]"
            yield Mismatch(f"{mismatch.reason} (asked for by {whole})", f"pip install '{whole}'", line)


def _lines_of_extras(metadata: Metadata) -> tuple[tuple[str, int], ...]:
    return tuple((text, line) for text, line in metadata.requires if "extra" in text.partition(";")[2])
