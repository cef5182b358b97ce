"""Which modules are an agent's own code: what the watchdog names, and the only code that may be broken off."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import importlib_metadata
from livekit.agents import JobContext

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.model.agents import AgentSpec
from openrtc.plugins.own_modules import list_packages
from openrtc.worker.admission import read_decision

FRAMEWORKS = frozenset({"livekit", "openrtc", "google"}) | (sys.stdlib_module_names - {"__main__"})
"""Top-level modules that are nobody's own code, whatever an agent is built by; namespaces that others share as well."""


class OwnCode:
    """The modules of each agent of a catalogue, with whatever else its distribution installs.

    Args:
        catalog: The agents.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._packages = {
            name: (find_packages(agent) | _list_installed(agent.entry.distribution if agent.entry else "")) - FRAMEWORKS
            for name, agent in catalog.agents.items()
        }
        self._all = frozenset[str]().union(*self._packages.values())

    def find(self, job: JobContext | None) -> Collection[str]:
        """Return the top-level modules of the agents of a job; of all agents, where there is no job."""
        if job is None:
            return self._all
        decision = read_decision(job.job)
        names = self._catalog.limited_agents(decision.agents) if decision else ()
        return frozenset[str]().union(*(self._packages.get(name, frozenset()) for name in names))


def find_packages(agent: LoadedAgent) -> frozenset[str]:
    """Return the top-level modules of an agent's code, and of the members where it is a cast."""
    found = set(list_packages(agent.entry)) if agent.entry else set()
    found |= {str(getattr(builder, "__module__", "")) for builder in _list_builders(agent.spec)}
    return frozenset(name.partition(".")[0] for name in found if name) - FRAMEWORKS


def _list_builders(spec: AgentSpec | None) -> list[object]:
    if spec is None:
        return []
    members = spec.cast.members if spec.cast else ()
    return [one for one in (spec.agent, spec.entrypoint) if one] + [
        builder for member in members for builder in _list_builders(member.spec)
    ]


@functools.cache
def _list_installed(distribution: str) -> frozenset[str]:
    """Return the top-level modules that a distribution installs, or of the folder that it is an editable install of."""
    if not distribution:
        return frozenset()
    try:
        found = importlib_metadata.distribution(distribution)
        files = [str(file) for file in found.files or ()]
        source = json.loads(found.read_text("direct_url.json") or "{}").get("url", "")
        modules = list(_list_modules(Path(unquote(urlsplit(source).path)))) if source.startswith("file:") else []
    except Exception:  # whatever is wrong with a distribution's metadata: its agents run all the same
        return frozenset()
    return frozenset(
        [*modules, *(file.partition("/")[0].removesuffix(".py") for file in files if file.endswith(".py"))]
    )


def _list_modules(folder: Path) -> Iterator[str]:
    for root in (folder, folder / "src"):
        yield from (path.stem for path in root.glob("*.py"))
        yield from (path.parent.name for path in root.glob("*/__init__.py"))
