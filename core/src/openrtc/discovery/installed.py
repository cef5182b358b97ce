"""Which folder of metadata speaks for a distribution, where several have its name, and what is passed over for it.

The order is: what is whole before what is not, an earlier entry of `sys.path` before a later one, as Python imports,
and the newer version (PEP 440) before the older. Names are compared as the metadata has them, normalised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from openrtc.discovery.metadata import Metadata, entry_points_text, read_metadata
from openrtc.discovery.metadata_folders import Installed, list_installed, read_file
from openrtc.errors import one_line
from openrtc.model.names import normalise_name

if TYPE_CHECKING:
    from packaging.version import Version

LONGEST_VERSION = 128
"""Characters of a version; real ones have 10 to 40. Python reads no number of more than 4300 digits."""


class Speaking(NamedTuple):
    """An installed distribution whose entry_points.txt speaks of OpenRTC.

    Args:
        installed: The distribution, with name and version as its metadata has them.
        text: Its entry_points.txt.
        bad_line: The line of that file that is not UTF-8, if any.
        metadata: Its metadata.
        twin: Another whole one of its name that stands beside it, with a version that is not newer.
    """

    installed: Installed
    text: str
    bad_line: int | None
    metadata: Metadata
    twin: Installed | None = None


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed.

    Args:
        distributions: Each distribution by its normalised name.
        speaking: Those that speak of OpenRTC, in the order of their names.
        passed_over: What was passed over of these, one line for each.
    """

    distributions: dict[str, Installed] = field(default_factory=dict)
    speaking: list[Speaking] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def find_installed() -> Installation:
    """Return what is installed; reads the metadata only of what speaks of OpenRTC, or has the name of another."""
    found = Installation()
    spoken: dict[str, Speaking] = {}
    groups: dict[str, list[Installed]] = {}
    for one in list_installed():
        text = entry_points_text(one)
        if one.is_leftover:
            if text:
                found.passed_over.append(f"{one.folder} is a leftover of pip and passed over (remove that folder)")
            continue
        if text:
            metadata = read_metadata(one)
            one = _name_by_metadata(one, metadata)
            spoken[one.path_of("")] = Speaking(one, *text, metadata)
        groups.setdefault(one.key, []).append(one)
    for key in sorted(groups):
        rivals, twin = groups[key], None
        best = rivals[0]
        if len(rivals) > 1:
            speaks = any(rival.path_of("") in spoken for rival in rivals)
            best = _choose(rivals, everywhere=speaks)
            if speaks:
                twin = _find_twin(best, rivals)
                found.passed_over.extend(_tell_passed_over(best, rivals))
        found.distributions[key] = best
        if speaking := spoken.get(best.path_of("")):
            found.speaking.append(speaking._replace(twin=twin))
    return found


def find_named(*keys: str) -> dict[str, Installed]:
    """Return the installed distributions of these normalised names, by the names of their folders: nothing is read.

    Args:
        *keys: The names; by default all.
    """
    groups: dict[str, list[Installed]] = {}
    for one in list_installed():
        if (not keys or one.key in keys) and not one.is_leftover:
            groups.setdefault(one.key, []).append(one)
    return {key: _choose(rivals, everywhere=False) for key, rivals in groups.items()}


def compare_key(version: str) -> tuple[int, Version | str]:
    """Return what versions are ordered by: PEP 440; one that it does not know is older than all that it knows."""
    from packaging.version import InvalidVersion, Version

    try:
        if len(version) <= LONGEST_VERSION:
            return 1, Version(version)
    except InvalidVersion:
        pass
    return 0, version


def _name_by_metadata(one: Installed, metadata: Metadata) -> Installed:
    if not metadata.name:
        return one
    name, version = one_line(metadata.name, 120), metadata.version or one.version
    return one._replace(key=normalise_name(name), name=name, version=version)


def _choose(rivals: Sequence[Installed], *, everywhere: bool) -> Installed:
    """Return the one that counts.

    Args:
        rivals: All of one name, in the order of `sys.path`.
        everywhere: Whether one that is whole counts wherever it is; else only the first place is looked at.
    """
    beside = [rival for rival in rivals if everywhere or rival.place == rivals[0].place]
    if len(beside) == 1:
        return beside[0]
    places = list(dict.fromkeys(rival.place for rival in beside))
    return max(beside, key=lambda one: (_has_metadata(one), -places.index(one.place), is_complete(one), _age(one)))


def _age(one: Installed) -> tuple[tuple[int, Version | str], str]:
    # Of two of one version, nothing may depend on the disk's order.
    return compare_key(one.version or read_metadata(one).version), one.folder


def _has_metadata(one: Installed) -> bool:
    return read_metadata(one).status.usable


def is_complete(one: Installed) -> bool:
    """Whether pip got to the end: it writes RECORD last. Older ways of installing write none."""
    return not one.folder.endswith(".dist-info") or bool(read_file(one, "RECORD", 1))


def _find_twin(best: Installed, rivals: Sequence[Installed]) -> Installed | None:
    beside = (rival for rival in rivals if rival is not best and rival.place == best.place)
    return next((rival for rival in beside if _has_metadata(rival) and is_complete(rival) == is_complete(best)), None)


def _tell_passed_over(best: Installed, rivals: Sequence[Installed]) -> Iterator[str]:
    for rival in rivals:
        if rival is best:
            continue
        name, version = best.name, one_line(rival.version, 60)
        if not _has_metadata(rival):
            yield f"{rival.folder} has no metadata that can be read, and is passed over (remove that folder)"
        elif rival.place != best.place:
            if not _is_the_same(best, rival):
                yield f"{name} {version} in {rival.place} is hidden by {best.version} in {best.place}"
        elif not is_complete(rival) and is_complete(best):
            yield f"{rival.folder} has no RECORD, and is passed over (remove that folder)"
        else:
            yield (
                f"{name} is installed twice: {one_line(best.version, 60)} is used, and {rival.folder} passed over "
                f"(remove that folder, then install {name} again)"
            )


def _is_the_same(one: Installed, other: Installed) -> bool:
    """Whether nothing is lost where one hides the other: a copy, or the source tree of an editable installation."""
    if any(each.folder.endswith(".egg-info") for each in (one, other)) and (_is_editable(one) or _is_editable(other)):
        return True
    return one.version == other.version and entry_points_text(one) == entry_points_text(other)


def _is_editable(one: Installed) -> bool:
    info = read_origin(one).get("dir_info")
    return isinstance(info, dict) and bool(info.get("editable"))


def read_origin(one: Installed) -> dict[str, Any]:
    """Return where pip has installed a distribution from, as its ``direct_url.json`` says; empty where it does not."""
    import json  # not by list-agents where nothing has two versions

    try:
        document = json.loads(read_file(one, "direct_url.json", 10_000))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
