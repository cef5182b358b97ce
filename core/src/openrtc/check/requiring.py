"""What a distribution requires: the rule `requirements`, which names all that is missing here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from openrtc.check.card import Finding, RuleVerdict
from openrtc.discovery.installed import find_installed
from openrtc.discovery.metadata import Metadata, read_metadata
from openrtc.discovery.metadata_folders import Installed
from openrtc.discovery.own_requirements import LIVEKIT_AGENTS
from openrtc.discovery.requirements import RequirementCheck, Versions, meets
from openrtc.errors import one_line
from openrtc.model.names import normalise_name
from openrtc.upstream.known_code import RELEASES

_PATH = re.compile(r"@\s*file:", re.IGNORECASE)


def judge_requirements(distribution: str) -> Iterator[Finding]:
    """Yield what is found of a distribution's requirements.

    Args:
        distribution: Its name; it is on the path of imports.
    """
    installed = find_installed().distributions
    one = installed.get(normalise_name(distribution))
    if one is None:
        return
    metadata = read_metadata(one)
    if not metadata.status.usable:
        yield Finding("requirements", RuleVerdict.NOT_CHECKED, metadata.status.reason or "")
        return
    found = [
        *(finding for text, line in metadata.requires for finding in _check_one(one, text, line, installed)),
        *_check_python(one, metadata, installed),
    ]
    yield from found or [Finding("requirements", RuleVerdict.PASSED, _describe(metadata.requires))]


def _check_one(one: Installed, text: str, line: int, installed: Versions) -> Iterator[Finding]:
    place = f"{one.path_of('METADATA')}:{line}"
    if _PATH.search(text):
        what = f"{one_line(text, 120)!r} is a path, which only one machine has"
        yield Finding("requirements", RuleVerdict.FAILED, what, "require it by its name and versions", place)
        return
    unread: list[str] = []
    status = RequirementCheck(one, Metadata(requires=((text, line),)), installed, warn=unread.append).find_mismatch()
    for warning in unread:
        yield Finding("requirements", RuleVerdict.FAILED, one_line(warning), "", place)
    if status is None:
        return
    if normalise_name(re.split(r"[\s\[<>=!~;(@]", text, maxsplit=1)[0]) == LIVEKIT_AGENTS and not _suits_us(text):
        what = f"{status.reason}, and this OpenRTC runs with {RELEASES[0]} to {RELEASES[-1]} alone"
        yield Finding("requirements", RuleVerdict.FAILED, what, f"allow {LIVEKIT_AGENTS} {RELEASES[-1]}", place)
    else:
        yield Finding("requirements", RuleVerdict.NOT_CHECKED, status.reason or "", status.fix or "", place)


def _check_python(one: Installed, metadata: Metadata, installed: Versions) -> Iterable[Finding]:
    alone = Metadata(requires_python=metadata.requires_python)
    unread: list[str] = []
    status = RequirementCheck(one, alone, installed, warn=unread.append).find_mismatch()
    yield from (Finding("requirements", RuleVerdict.FAILED, one_line(warning)) for warning in unread)
    if status:
        yield Finding(
            "requirements", RuleVerdict.NOT_CHECKED, status.reason or "", status.fix or "", status.location or ""
        )


def _suits_us(text: str) -> bool:
    """Whether a requirement of livekit-agents can be met by a release that this OpenRTC knows."""
    from packaging.requirements import Requirement

    return any(meets(Requirement(text).specifier, version) for version in RELEASES)


def _describe(requires: Iterable[tuple[str, int]]) -> str:
    own = [text for text, _ in requires if "extra" not in text.partition(";")[2]]
    return one_line(", ".join(own), 200) or "none"
