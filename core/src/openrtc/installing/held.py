"""What an installation may not change: the core and what it requires, since every agent runs on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from openrtc.discovery.installed import find_named
from openrtc.discovery.metadata import read_metadata
from openrtc.discovery.metadata_folders import Installed
from openrtc.discovery.requirements import meets
from openrtc.model.names import OWN_DISTRIBUTION, normalise_name

if TYPE_CHECKING:
    from packaging.requirements import Requirement


class HeldVersions(NamedTuple):
    """What may not change.

    Args:
        versions: The installed versions of the core and of what it requires itself, by normalised names.
        needed: The names of all that it needs, what that requires in turn too.
        constraints: What pip is given for it: those versions, and what is asked of the others.
    """

    versions: dict[str, str]
    needed: frozenset[str]
    constraints: tuple[str, ...]


def find_held() -> HeldVersions:
    """Return what the installed core needs; nothing where its source is only on the path."""
    installed = find_named()
    bounds: dict[str, set[str]] = {}
    required: set[str] = {OWN_DISTRIBUTION}
    asked: list[tuple[str, frozenset[str]]] = [(OWN_DISTRIBUTION, frozenset())]
    for key, extras in asked:
        for requirement in _list_requirements(installed[key], extras) if key in installed else ():
            name = normalise_name(requirement.name)
            bounds.setdefault(name, set()).add(str(requirement.specifier))
            if key == OWN_DISTRIBUTION:
                required.add(name)
            step = (name, frozenset(requirement.extras))
            if step not in asked:
                asked.append(step)
    needed = {key for key, _ in asked if key in installed}
    versions = {key: installed[key].version for key in sorted(required & needed)}
    lines = [f"{key}=={version}" for key, version in versions.items()]
    # Else pip would try each release of what was asked for, to find in the end that livekit-agents takes none.
    lines += [f"{key}{text}" for key in sorted(needed - required) for text in sorted(bounds[key]) if text]
    return HeldVersions(versions, frozenset(needed), tuple(lines))


def find_unmet_by(versions: dict[str, str | None]) -> Iterator[tuple[Installed, str]]:
    """Yield each installed distribution that needs something else than these versions, and its requirement.

    Args:
        versions: The version that each of some distributions will have, by normalised names; None for one that goes.
    """
    for key, one in sorted(find_named().items()):
        for requirement in _list_requirements(one, ()) if key not in versions else ():
            name = normalise_name(requirement.name)
            version = versions.get(name, "")
            if version is None or (version and not meets(requirement.specifier, version)):
                yield one, f"{requirement.name}{requirement.specifier}"


def _list_requirements(one: Installed, extras: Collection[str]) -> Iterator[Requirement]:
    """Yield what a distribution requires here; what cannot be read is passed over, and `discover` tells it."""
    from packaging.requirements import InvalidRequirement, Requirement  # see plain_requirements

    for text, _ in read_metadata(one).requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement
