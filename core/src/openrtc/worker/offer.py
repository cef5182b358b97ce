"""`Offer`: what a worker has that is ready, and what would be lost by a successor that lacks some of it.

A supervisor hears it from each worker, and gives it to the one that is to take its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from openrtc.errors import one_line

if TYPE_CHECKING:  # the supervisor, which needs an `Offer`, does without all of it
    from openrtc.catalog.loaded import LoadedAgent, LoadedPlugin
    from openrtc.runtime.runtime import Runtime

LONGEST_LOSS = 1000
"""Characters of a line: it has a path, a reason and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What of a worker is ready.

    Args:
        agents: Distribution and version of each agent, by its name; both are empty for one registered in code.
        plugins: Likewise of each plugin.
        default: The agent of calls that no rule decides; empty where there is none.
        rules: The rules and router plugins in the order in which they are asked.
    """

    agents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    plugins: Mapping[str, Sequence[str]] = field(default_factory=dict)
    default: str = ""
    rules: Sequence[str] = ()

    @classmethod
    def of(cls, runtime: Runtime) -> Offer:
        """Return what a worker has."""
        catalog = runtime.catalog
        return cls(
            agents={name: _read_origin(catalog.get(name)) for name in catalog.ready},
            plugins={plugin.name: _read_origin(plugin) for plugin in runtime.plugins if plugin.usable},
            default=runtime.router.default or "",
            rules=runtime.router.rules,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


class Loss(NamedTuple):
    """An agent or plugin that was ready and is not any more.

    Args:
        name: Its name.
        line: What has become of it, and what to do, in one line.
    """

    name: str
    line: str


def find_losses(kept: Offer, runtime: Runtime) -> Iterator[Loss]:
    """Yield what was ready in a worker and is not here, but for what the operator has switched off.

    Args:
        kept: What the other worker has.
        runtime: This worker's.
    """
    catalog = runtime.catalog
    plugins = {plugin.name: plugin for plugin in runtime.plugins}
    for name, (distribution, version) in kept.agents.items():
        if name not in catalog.ready:
            part = f"{distribution}:{name}"
            yield from _explain("agent", name, part, (distribution, version), catalog.agents.get(name), runtime)
    for name, (distribution, version) in kept.plugins.items():
        if not (name in plugins and plugins[name].usable):
            yield from _explain("plugin", name, name, (distribution, version), plugins.get(name), runtime)


def describe_differences(before: Offer, after: Offer) -> Iterator[str]:
    """Yield what is another agent's or rule's turn from now on, where nobody has lost anything.

    Args:
        before: What a worker had.
        after: What its successor has.
    """
    if before.default != after.default:
        yield f"calls that no rule decides go to {after.default or 'nobody'!r}, and before to {before.default!r}"
    if list(before.rules) != list(after.rules):
        yield f"routing is {' > '.join(after.rules)}, and was {' > '.join(before.rules)}"
    for name in before.agents.keys() & after.agents.keys():
        if before.agents[name][0] != after.agents[name][0]:
            yield f"agent {name!r} is that of {after.agents[name][0]}, and was that of {before.agents[name][0]}"


def describe_versions(before: Offer, after: Offer) -> str:
    """Return which agents and plugins are new, gone or of another version, in one line; empty where none is."""
    old, new = {**before.agents, **before.plugins}, {**after.agents, **after.plugins}
    changed = {tuple(old[name]): tuple(new[name]) for name in old.keys() & new.keys()}
    changed = {one: other for one, other in changed.items() if one != other}
    parts = [
        f"{' '.join(one)} is {other[1] if one[0] == other[0] else ' '.join(other)} now"
        for one, other in sorted(changed.items())
    ]
    parts += [f"{name!r} of {' '.join(new[name])} is new" for name in sorted(new.keys() - old.keys())]
    parts += [f"{name!r} of {' '.join(old[name])} is switched off" for name in sorted(old.keys() - new.keys())]
    return one_line("; ".join(parts), LONGEST_LOSS)


def _read_origin(part: LoadedAgent | LoadedPlugin) -> tuple[str, str]:
    return (part.entry.distribution, part.entry.version) if part.entry else ("", "")


def _explain(
    kind: str,
    name: str,
    part: str,
    origin: tuple[str, str],
    now: LoadedAgent | LoadedPlugin | None,
    runtime: Runtime,
) -> Iterator[Loss]:
    from openrtc.discovery.installed import find_named
    from openrtc.discovery.policy import find_switched_off
    from openrtc.install_commands import install_command
    from openrtc.model.names import normalise_name

    distribution, version = origin
    key = normalise_name(distribution)
    own_name = name.rpartition(":")[2]
    if (now and now.status.switched_off) or find_switched_off(runtime.config.policy, key, own_name):
        return
    if now is not None:
        status, owner = now.status, " ".join(_read_origin(now)).strip()
        where = f" at {status.location}" if status.location else ""
        text, fix = f"is {status.state}: {status.reason}{where}", status.fix or "openrtc list-agents --load shows it"
    elif installed := find_named(key).get(key):
        owner = f"{distribution} {installed.version}"
        text, fix = f"is gone: {distribution} {version} has brought it", f"install {distribution} {version} again"
    else:
        owner, part = f"{distribution} {version}", key
        text, fix = "is gone: that is not installed any more", install_command(f"{distribution}=={version}")
    on_purpose = f'if it is to go, put "{part}" into deny of [plugins]'
    yield Loss(name, one_line(f"{kind} {name!r} of {owner} {text} ({fix}; {on_purpose})", LONGEST_LOSS))
