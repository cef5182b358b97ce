"""Lists every installed agent and plugin, without importing any of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from openrtc.config import Config, Policy
from openrtc.discovery.compatibility import Versions, first_mismatch
from openrtc.discovery.entries import AGENTS_GROUP, PLUGINS_GROUP, Entry, State
from openrtc.discovery.entry_points_file import Declaration, read_declarations
from openrtc.discovery.metadata import (
    ENTRY_POINTS,
    Installed,
    Metadata,
    entry_points_text,
    installed_distributions,
    read_metadata,
)
from openrtc.discovery.name_clashes import settle_clashes
from openrtc.errors import one_line
from openrtc.setting_kinds import normalised
from openrtc.suggest import did_you_mean

OWN_DISTRIBUTION = "openrtc-core"


def discover(config: Config) -> tuple[Entry, ...]:
    """Return every entry of both groups, each with its state; imports nothing and raises nothing.

    The order is that of the normalised distribution name, then of the entry's name.
    """
    installed = installed_distributions()
    found: list[Entry] = []
    for key in sorted(installed):
        if key != OWN_DISTRIBUTION and (text := entry_points_text(installed[key])):
            found.extend(_entries_of(installed[key], *text, config.policy, installed))
    found.sort(key=lambda entry: (normalised(entry.distribution), entry.name, entry.group, entry.location or ""))
    return tuple(settle_clashes(found, config.policy.prefer))


def policy_warnings(policy: Policy, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return one line for each name in allow, deny and prefer that matches no installed agent or plugin."""
    known = {normalised(entry.distribution) for entry in entries}
    named = [
        *(("allow", name) for name in policy.allow or ()),
        *(("deny", name) for name in policy.deny),
        *((f"prefer: {name}", winner) for name, winner in policy.prefer.items()),
    ]
    return tuple(
        f'{where}: no installed agent or plugin comes from "{name}"; {did_you_mean(name, known, "is it installed?")}'
        for where, name in named
        if name not in known
    )


def _entries_of(one: Installed, text: str, bad_line: int | None, policy: Policy, installed: Versions) -> list[Entry]:
    declarations = read_declarations(text)
    if not declarations and bad_line is None:
        return []
    metadata = read_metadata(one)
    name, version = metadata.name or one.name, metadata.version or one.version
    if bad_line is not None:
        declarations = _not_utf8(declarations, text, one.name, bad_line)
    found = [_entry(declaration, one, name, version, metadata) for declaration in declarations]
    return [
        _with_policy(policy, one.key, entry) or _with_compatibility(entry, declaration, one, metadata, installed)
        for entry, declaration in zip(found, declarations, strict=True)
    ]


def _not_utf8(declarations: list[Declaration], text: str, name: str, line: int) -> list[Declaration]:
    fault, fix = f"{ENTRY_POINTS} is not UTF-8", f"save it as UTF-8, build and install {name} again"
    group = PLUGINS_GROUP if AGENTS_GROUP not in text else AGENTS_GROUP
    named = declarations or [Declaration(group, name, "", (), line)]
    return [Declaration(one.group, one.name, one.value, (), line, fault, fix) for one in named]


def _entry(declaration: Declaration, one: Installed, name: str, version: str, metadata: Metadata) -> Entry:
    entry = Entry(
        group=declaration.group,
        name=declaration.name,
        value=declaration.value,
        distribution=one_line(name, 120),
        version=one_line(version, 60),
        summary=one_line(metadata.summary, 200),
    )
    if metadata.fault:
        place, fix = one.place("METADATA", metadata.line), f"pip install --force-reinstall {one.name}"
        return replace(entry, state=State.BROKEN, reason=metadata.fault, fix=fix, location=place)
    if declaration.fault:
        place = one.place(ENTRY_POINTS, declaration.line)
        return replace(entry, state=State.BROKEN, reason=declaration.fault, fix=declaration.fix, location=place)
    return entry


def _with_compatibility(
    entry: Entry, declaration: Declaration, one: Installed, metadata: Metadata, installed: Versions
) -> Entry:
    if not entry.usable:
        return entry
    mismatch = first_mismatch(metadata, declaration.extras, installed)
    if mismatch is None:
        return entry
    state = State.BROKEN if mismatch.unreadable else State.INCOMPATIBLE
    place = one.place("METADATA", mismatch.line)
    return replace(entry, state=state, reason=one_line(mismatch.reason), fix=mismatch.fix, location=place)


def _with_policy(policy: Policy, key: str, entry: Entry) -> Entry | None:
    """Return the entry switched off by allow or deny, else None; what is switched off is not called broken."""
    if key in policy.deny:
        return _switched_off(entry, State.DISABLED, "denied by the operator", f'take "{key}" out of deny')
    if policy.allow is not None and key not in policy.allow:
        return _switched_off(entry, State.NOT_ALLOWED, "not in the allow list", f'add "{key}" to allow')
    return None


def _switched_off(entry: Entry, state: State, reason: str, fix: str) -> Entry:
    return replace(entry, state=state, reason=reason, fix=fix, location=None)
