"""One rule for names of agents and distributions in the settings that nobody has: a warning, for some an error.

Which settings hold such names, and where an unknown one is an error, is part of their declaration
(`openrtc.settings.config`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from openrtc.discovery.entries import Entry
from openrtc.errors import OpenRTCError
from openrtc.model.names import normalise_name
from openrtc.settings.config import SETTINGS, Config
from openrtc.settings.kinds import AGENTS, DISTRIBUTIONS
from openrtc.settings.setting import Setting, Unknown
from openrtc.suggest import closest, did_you_mean


def check_agent_names(config: Config, known: Collection[str], warn: Callable[[str], object]) -> None:
    """Check every name of an agent in the settings.

    Args:
        config: The settings.
        known: Names of the agents that are there, usable or not.
        warn: Shows a warning.

    Raises:
        OpenRTCError: A name must be right where it stands; raised when everything else has been warned of.
    """
    _check(config, AGENTS, known, "which does not exist", warn)


def check_distribution_names(config: Config, entries: Iterable[Entry], warn: Callable[[str], object]) -> None:
    """Warn of every name of a distribution in the settings that brings no installed agent or plugin.

    Args:
        config: The settings.
        entries: The installed agents and plugins, usable or not.
        warn: Shows a warning.
    """
    brought: dict[str, list[Entry]] = {}
    for entry in entries:
        brought.setdefault(normalise_name(entry.distribution), []).append(entry)
    _check(config, DISTRIBUTIONS, brought, "which brings no installed agent or plugin", warn)
    for denied in config.policy.deny:
        key, _, name = denied.partition(":")
        _check_part(config, key, name, brought.get(key, ()), warn)


def _check_part(config: Config, key: str, name: str, entries: Collection[Entry], warn: Callable[[str], object]) -> None:
    known = {entry.name for entry in entries}
    # Which agents a plugin or a hook module brings is known only when it is imported.
    if name and known and name not in known and all(entry.is_agent for entry in entries):
        message = f'[plugins] deny names "{name}" of {key}, which brings no such agent or plugin'
        warn(str(OpenRTCError(message, origin=config.origins.get("plugins.deny"), fix=_suggest(name, known))))


def _check(config: Config, names_of: str, known: Collection[str], problem: str, warn: Callable[[str], object]) -> None:
    errors: list[OpenRTCError] = []
    for setting in (setting for setting in SETTINGS if setting.kind.names_of == names_of):
        for name in setting.kind.names_in(config.value_of(setting)):
            if name in known:
                continue
            message = f'{setting.label} names the {names_of.removesuffix("s")} "{name}", {problem}'
            error = OpenRTCError(message, origin=_find_origin(config, setting, name), fix=_suggest(name, known))
            if _is_error(setting, name, known):
                errors.append(error)
            else:
                warn(str(error))
    for error in errors[1:]:
        warn(str(error))
    if errors:
        raise errors[0]


def _find_origin(config: Config, setting: Setting, name: str) -> str | None:
    return config.origins.get(f"{setting.path}.{name}") or config.origins.get(setting.path)


def _suggest(name: str, known: Collection[str]) -> str:
    return did_you_mean(name, known, f"there are: {', '.join(sorted(known))}" if known else "none is installed")


def _is_error(setting: Setting, name: str, known: Collection[str]) -> bool:
    if setting.unknown is Unknown.ERROR_IF_NEAR:
        return closest(name, known) is not None
    return setting.unknown is Unknown.ERROR
