"""Compares what OpenRTC itself requires with what is installed, before any command imports it.

Nothing here imports what it compares, nor anything else that pip installs, unless something is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from openrtc.discovery.installed import find_named
from openrtc.discovery.metadata import Metadata, read_metadata
from openrtc.discovery.metadata_folders import Installed, list_installed
from openrtc.discovery.plain_requirements import DISTRIBUTION_NAME
from openrtc.discovery.requirements import RequirementCheck, meets
from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import install_command, uninstall_command
from openrtc.model.names import NAMESAKE, OWN_DISTRIBUTION, normalise_name
from openrtc.model.status import State, Status

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

LIVEKIT_AGENTS = "livekit-agents"
VITAL = (LIVEKIT_AGENTS, "livekit", "pluggy")
"""Without the right versions of these, OpenRTC fails at an import, and whose fault it is cannot be told any more."""
MOST_NAMED = 3
"""Distributions that one line names."""

_NAME = re.compile(DISTRIBUTION_NAME)


class OwnProblem(NamedTuple):
    """Something that OpenRTC requires, and does not find.

    Args:
        error: What it is.
        vital: Whether OpenRTC cannot work so.
    """

    error: OpenRTCError
    vital: bool


def check_own_requirements(warn: Callable[[str], object]) -> None:
    """Compare what OpenRTC requires with what is installed, for a command that needs it.

    Args:
        warn: Shows a warning: of what may work nevertheless.

    Raises:
        OpenRTCError: One of `VITAL` is another version than OpenRTC works with, or is not there.
    """
    for problem in find_own_problems(warn):
        if problem.vital:
            raise problem.error
        warn(str(problem.error))


def find_own_problems(warn: Callable[[str], object]) -> Iterator[OwnProblem]:
    """Yield what OpenRTC requires and what is installed otherwise; what livekit-agents requires of livekit likewise.

    Args:
        warn: Shows a warning: of what cannot be read.
    """
    installed = find_named()
    own = installed.get(OWN_DISTRIBUTION)
    if own is None:  # its source is on the path: nobody says what it requires
        return
    required = dict(_list_required(read_metadata(own)))
    if namesake := _find_namesake(installed):
        yield OwnProblem(namesake, vital=False)
    pairs = [(own, text) for text in required.values()]
    if agents := installed.get(LIVEKIT_AGENTS):
        pairs += [(agents, text) for name, text in _list_required(read_metadata(agents)) if name == "livekit"]
    # The vital ones first: what is wrong with the others may follow from them.
    for one, text in sorted(pairs, key=lambda pair: _name_of(pair[1]) not in VITAL):
        if status := _find_mismatch(one, text, installed, warn):
            yield OwnProblem(_explain(one, text, status, installed), vital=_name_of(text) in VITAL)


def _find_mismatch(
    one: Installed, text: str, installed: Mapping[str, Installed], warn: Callable[[str], object]
) -> Status | None:
    if ";" not in text and _name_of(text) not in installed:
        # Said without packaging, which may be what is missing.
        return Status(State.INCOMPATIBLE, f"needs {text}, which is not installed", install_command(text))
    return RequirementCheck(one, Metadata(requires=((text, 1),)), installed, warn=warn).find_mismatch()


def _list_required(metadata: Metadata) -> Iterator[tuple[str, str]]:
    """Yield name and text of each requirement that is no extra's."""
    for text, _ in metadata.requires:
        if "extra" not in text.partition(";")[2] and (name := _name_of(text)):
            yield name, text


def _name_of(text: str) -> str:
    found = _NAME.match(text)
    return normalise_name(found[0]) if found else ""


def _explain(one: Installed, text: str, status: Status, installed: Mapping[str, Installed]) -> OpenRTCError:
    """Say who has asked for the version that is there."""
    who = OWN_DISTRIBUTION if one.key == OWN_DISTRIBUTION else f"{one.key} {one.version}"
    there = installed.get(_name_of(text))
    askers = list(_find_askers(text, there)) if there else []
    reason, fix = f"{who} {status.reason}", status.fix
    if askers:
        reason += f", since {_join(f'{asker.key} {asker.version} asks for {wanted}' for asker, wanted in askers)}"
        names = _join(asker.key for asker, _ in askers)
        fix = f"{fix}; {names} {'needs' if len(askers) == 1 else 'need'} an environment apart, or another version"
    return OpenRTCError(reason, fix=fix)


def _find_askers(text: str, there: Installed) -> Iterator[tuple[Installed, str]]:
    """Yield each distribution whose requirement the installed version meets, and none that would do here."""
    from packaging.requirements import InvalidRequirement, Requirement

    needed = Requirement(text)
    candidates = [version for version in _list_candidates(needed) if meets(needed.specifier, version)]
    for one in list_installed():
        if one.key in (OWN_DISTRIBUTION, there.key) or one.is_leftover:
            continue
        for other in (line for name, line in _list_required(read_metadata(one)) if name == there.key):
            try:
                asked = Requirement(other)
            except InvalidRequirement:
                continue
            if meets(asked.specifier, there.version) and not _any_meets(asked.specifier, candidates):
                yield one, one_line(f"{asked.name}{asked.specifier}", 80)


def _list_candidates(needed: Requirement) -> list[str]:
    """Return versions of which some would do, if any does: those that the requirement names, and known releases."""
    from openrtc.upstream.known_code import RELEASES  # costs time that only somebody with another version should pay

    known = RELEASES if normalise_name(needed.name) == LIVEKIT_AGENTS else ()
    return [clause.version.removesuffix(".*") for clause in needed.specifier] + list(known)


def _any_meets(specifier: SpecifierSet, versions: Iterable[str]) -> bool:
    return any(meets(specifier, version) for version in versions)


def _join(parts: Iterable[str]) -> str:
    named = list(parts)
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return ", ".join(named[:MOST_NAMED]) + more


def _find_namesake(installed: Mapping[str, Installed]) -> OpenRTCError | None:
    if (namesake := installed.get(NAMESAKE)) is None:
        return None
    askers = [one.key for one in list_installed() if NAMESAKE in dict(_list_required(read_metadata(one)))]
    asked = f" (required by {_join(askers)})" if askers else ""
    return OpenRTCError(
        f"the distribution {NAMESAKE} {namesake.version} is somebody else's and has the same import name: "
        f"it has overwritten files of {OWN_DISTRIBUTION}, or the other way round{asked}",
        fix=f"{uninstall_command(NAMESAKE)}, then "
        f"{install_command(OWN_DISTRIBUTION, '--force-reinstall', '--no-deps')}",
    )
