"""Lists every installed agent, plugin and command, without importing any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from openrtc.discovery.claimed_files import Clash, find_clashes
from openrtc.discovery.entries import AGENTS_GROUP, PLUGINS_GROUP, Entry
from openrtc.discovery.entry_points_file import Declaration, read_declarations
from openrtc.discovery.hidden_livekit import find_hiding
from openrtc.discovery.installed import Installation, Speaking, find_installed
from openrtc.discovery.metadata import ENTRY_POINTS
from openrtc.discovery.name_clashes import settle_name_clashes
from openrtc.discovery.policy import find_switched_off, list_ignored, list_relied_on
from openrtc.discovery.requirements import RequirementCheck, Versions
from openrtc.errors import one_line
from openrtc.model.names import OWN_DISTRIBUTION, normalise_name
from openrtc.model.status import INSTALLED, State, Status
from openrtc.settings.config import Config, Policy


def discover(
    config: Config, warn: Callable[[str], object] = lambda _: None, installation: Installation | None = None
) -> tuple[Entry, ...]:
    """Return every entry of our groups, each with its state; imports nothing and raises nothing.

    The order is that of the normalised distribution name, then of the entry's name.

    Args:
        config: The settings.
        warn: Shows a warning: of what was passed over, or cannot be read. By default nothing is shown.
        installation: What `find_installed` has found; by default it is asked.
    """
    installation = installation or find_installed()
    for line in installation.passed_over:
        warn(one_line(line))
    clashes = find_clashes((one.installed for one in installation.speaking), installation.distributions.values())
    hiding, nobodys = find_hiding(installation.distributions.values())
    for file in nobodys:
        warn(one_line(f"{file} hides livekit, a name space of many distributions (remove it)"))
    speaking = {one.installed.key for one in installation.speaking}
    for key in sorted(hiding.keys() - speaking):
        warn(f"{installation.distributions[key].name}: {hiding[key].reason} ({hiding[key].fix})")
    damaged = {**hiding, **{one.key: one.status for one in config.hung}}
    found: list[Entry] = []
    for one in installation.speaking:
        if one.installed.key != OWN_DISTRIBUTION:
            found += _entries_of(one, config.policy, installation.distributions, clashes, damaged, warn)
    found.sort(key=lambda entry: (normalise_name(entry.distribution), entry.name, entry.group, entry.location or ""))
    claims: tuple[tuple[str, Callable[[Entry], bool]], ...] = (
        ("an agent", lambda entry: entry.is_agent and entry.usable),
        ("a command", lambda entry: entry.is_command and entry.usable),
    )
    for what, claim in claims:
        found = settle_name_clashes(
            found,
            config.policy.prefer,
            claims=claim,
            replace_status=lambda entry, status: replace(entry, status=status),
            what=what,
        )
    return tuple(found)


def _entries_of(
    one: Speaking,
    policy: Policy,
    installed: Versions,
    clashes: Mapping[str, Sequence[Clash]],
    damaged: Mapping[str, Status],
    warn: Callable[[str], object],
) -> list[Entry]:
    distribution, metadata = one.installed, one.metadata
    file = distribution.path_of(ENTRY_POINTS)
    declarations = read_declarations(one.text, file, distribution.name)
    if not declarations and one.bad_line is None:
        return []
    if one.bad_line is not None:
        declarations = _mark_not_utf8(declarations, one.text, distribution.name, f"{file}:{one.bad_line}")
    damage = (
        damaged.get(distribution.key)
        or _find_twin(one, policy)
        or _find_clash(clashes.get(distribution.key, ()), distribution.name, policy)
    )
    ignored = list_ignored(policy, distribution.key)
    requirements = RequirementCheck(distribution, metadata, installed, ignored=ignored, warn=warn)

    def find_problem(declaration: Declaration) -> Status | None:
        for status in (metadata.status, declaration.status):
            if not status.usable:
                return status
        return damage or requirements.find_mismatch(declaration.extras)

    return [
        Entry(
            group=declaration.group,
            name=declaration.name,
            value=declaration.value,
            distribution=one_line(distribution.name, 120),
            version=one_line(metadata.version or distribution.version, 60),
            summary=one_line(metadata.summary, 200),
            folder=distribution.folder,
            # What the operator has switched off is shown as that, however broken it is besides.
            status=find_switched_off(policy, distribution.key, declaration.name)
            or find_problem(declaration)
            or INSTALLED,
        )
        for declaration in declarations
    ]


def _mark_not_utf8(declarations: list[Declaration], text: str, name: str, place: str) -> list[Declaration]:
    fix = f"save it as UTF-8, build and install {name} again"
    status = Status(State.BROKEN, f"{ENTRY_POINTS} is not UTF-8", fix, place)
    group = PLUGINS_GROUP if AGENTS_GROUP not in text else AGENTS_GROUP
    return [one._replace(extras=(), status=status) for one in declarations or [Declaration(group, name, "")]]


def _find_twin(one: Speaking, policy: Policy) -> Status | None:
    """Return what is wrong where another one of a name that the operator relies on is installed beside it."""
    setting = list_relied_on(policy).get(one.installed.key)
    if one.twin is None or setting is None:
        return None
    name, versions = one.installed.name, f"{one.installed.version} and {one.twin.version}"
    reason = one_line(f"{name} is installed twice, {versions}, and {setting} names it: which is meant is unknown")
    return Status(State.CONFLICT, reason, f"remove {one.twin.folder}, then install {name} again", one.twin.folder)


def _find_clash(clashes: Sequence[Clash], name: str, policy: Policy) -> Status | None:
    """Return what is wrong where another distribution has overwritten a file of this one, or the other way round."""
    for clash in clashes:
        other = clash.other.name
        switched_off = clash.switchable and find_switched_off(policy, clash.other.key) is not None
        if switched_off and clash.intact:
            continue
        reason = f"{clash.path} is a file of {other} too, and one of the two has overwritten the other's"
        if clash.intact:
            reason = f"{clash.path} has overwritten the file of {other} of that name"
        fix = "install both editable, or move the module into a package"
        if switched_off or not (clash.switchable or clash.intact):
            fix += f"; or uninstall {other}, then install {name} again"
        elif clash.intact and clash.switchable:
            fix += f"; or switch the other off: --deny {other}"
        return Status(State.CONFLICT, one_line(reason), fix, clash.other.path_of("RECORD"))
    return None
