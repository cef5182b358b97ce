"""`[plugins] require`: distributions without which no worker starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from openrtc.discovery.entries import Entry
from openrtc.discovery.installed import find_named
from openrtc.discovery.metadata import read_metadata
from openrtc.discovery.policy import find_switched_off
from openrtc.discovery.requirements import meets
from openrtc.errors import OpenRTCError
from openrtc.install_commands import install_command
from openrtc.model.names import normalise_name
from openrtc.model.status import Status
from openrtc.settings.config import Config

SETTING = "plugins.require"


class Part(Protocol):
    """An agent or a plugin: an entry point, or what came of it."""

    @property
    def name(self) -> str: ...
    @property
    def distribution(self) -> str: ...
    @property
    def status(self) -> Status: ...


def find_unmet(config: Config, entries: Iterable[Entry], parts: Iterable[Part]) -> Iterator[OpenRTCError]:
    """Yield what is wrong with each distribution that is required.

    Args:
        config: The settings.
        entries: The installed entry points, usable or not.
        parts: The agents and plugins, usable or not: the entry points, or what loading gave.
    """
    if not config.policy.require:
        return
    listed, brought = list(entries), list(parts)
    origin = config.origins.get(SETTING)
    for required in config.policy.require:
        if problem := _find_problem(required, config, listed, brought):
            reason, fix = problem
            yield OpenRTCError(f"[plugins] require names {required}, {reason}", origin=origin, fix=fix)


def _find_problem(
    required: str, config: Config, entries: Sequence[Entry], parts: Sequence[Part]
) -> tuple[str, str | None] | None:
    from packaging.requirements import Requirement  # costs 20 ms that few need to pay

    requirement = Requirement(required)
    key = requirement.name
    install = install_command(required)
    own = [entry for entry in entries if normalise_name(entry.distribution) == key]
    version = own[0].version if own else _read_version(key)
    if version is None:
        return "which is not installed", install
    if not meets(requirement.specifier, version):
        return f"and {key} {version} is installed", install
    if not own:
        return "which brings no agent or plugin", f"take it out of require, or install another version of {key}"
    if off := find_switched_off(config.policy, key):
        return f"which is {off.state}: {off.reason}", off.fix
    for part in parts:
        if normalise_name(part.distribution) == key and not (part.status.usable or part.status.switched_off):
            return f"of which {part.name} is {part.status.state}: {part.status.reason}", part.status.fix
    return None


def _read_version(key: str) -> str | None:
    one = find_named(key).get(key)
    return None if one is None else one.version or read_metadata(one).version
