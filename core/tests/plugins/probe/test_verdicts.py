"""An entry may be one thing alone and another one after what a worker imports before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from openrtc.model.status import READY, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Site
    from openrtc.catalog.loaded import LoadedAgent

    Probe = Callable[..., list[LoadedAgent]]

REPLACES = """
import json, sys, types
sys.modules["pkg_shared"] = types.ModuleType("pkg_shared")
before = json.loads

def loads(text, *given, **options):
    if text == "[]":
        raise TypeError("no lists")
    return before(text, *given, **options)

json.loads = loads
"""
HOOKS = """
from openrtc import AgentSpec, hookimpl

async def run(ctx): ...

@hookimpl
def openrtc_agents():
    return [AgentSpec(name=__name__[-1], entrypoint=run)]
"""


def add(site: Site, name: str, source: str = "", **options: Any) -> None:
    """Install a package with a hook module, which brings an agent of that name."""
    options = options or {"agents": {"it": f"pkg_{name}"}}
    site.add(f"pkg-{name}", files={f"pkg_{name}.py": f"{source}\n{HOOKS}"}, **options)


@pytest.mark.process
def test_what_a_worker_meets_counts_and_who_is_to_blame_is_named(site: Site, probe: Probe) -> None:
    add(site, "a")
    add(site, "b", REPLACES)
    add(site, "c", "import pkg_shared")
    add(site, "d")
    add(site, "e", "import json\njson.loads('[]')")
    add(site, "f", "import json\njson.loads('[]')", plugins={"it": "pkg_f"})
    add(site, "g", "import os, sys\nif 'pkg_d' in sys.modules:\n    os.abort()")
    a, b, c, d, e, f, g = probe(site.entries())
    for ready in (a, b, d):
        assert (ready.state, ready.alone, ready.because_of) == (State.READY, None, "")
    assert (c.name, c.state, c.because_of) == ("c", State.READY, "pkg-b")
    assert c.alone
    assert c.alone.state is State.BROKEN
    assert "pkg_shared" in (c.alone.reason or "")
    # Of a hook module that cannot be imported the agents are not known; of this plugin they are, from the import alone.
    for name, broken in (("it", e), ("f", f)):
        assert (broken.name, broken.state, broken.alone, broken.because_of) == (name, State.BROKEN, READY, "pkg-b")
        assert broken.reason == "TypeError: no lists; it works alone, and fails after pkg-b"
        assert "--deny pkg-b" in (broken.fix or "")
    assert (g.state, g.alone, g.because_of) == (State.BROKEN, READY, "pkg-d")
    assert (g.reason or "").startswith("the import crashed Python (SIGABRT); a worker ends there; it works alone, ")


@pytest.mark.process
def test_what_only_several_do_together_is_told_without_blaming_one(site: Site, probe: Probe) -> None:
    add(site, "a", "import sys\nsys.met = 1")
    add(site, "b", "import sys\nsys.met = getattr(sys, 'met', 0) + 1")
    add(site, "c", "import sys\nassert getattr(sys, 'met', 0) < 2, 'too many'")
    *_, c = probe(site.entries())
    assert (c.state, c.alone, c.because_of) == (State.BROKEN, READY, "")
    assert c.reason == "AssertionError: too many; it works alone"


@pytest.mark.process
def test_names_are_settled_as_in_a_worker(site: Site, probe: Probe, agent_source: str) -> None:
    add(site, "a")
    site.add("pkg-z", agents={"a": "pkg_z:Support"}, files={"pkg_z.py": agent_source})
    # One object in both groups is one plugin.
    add(site, "b", agents={"it": "pkg_b"}, plugins={"it": "pkg_b"})
    found = [(agent.name, agent.distribution, agent.state, agent.alone) for agent in probe(site.entries())]
    assert found == [
        ("a", "pkg-a", State.CONFLICT, None),
        ("b", "pkg-b", State.READY, None),
        ("a", "pkg-z", State.CONFLICT, None),
    ]


@pytest.mark.process
def test_the_command_says_it_and_reads_the_variables_that_a_worker_reads(site: Site) -> None:
    (site.work / ".env").write_text("SOME_KEY=k\n")
    (site.work / ".env").chmod(0o600)
    add(site, "a", "import os\nos.environ['SOME_KEY']")
    add(site, "b", REPLACES)
    add(site, "c", "import pkg_shared")
    rows = site.agents("--load", site.only)
    assert {name: row["state"] for name, row in rows.items()} == {"a": "ready", "b": "ready", "c": "ready"}
    assert rows["a"]["alone"] is rows["b"]["alone"] is None
    assert (rows["c"]["alone"]["state"], rows["c"]["alone"]["because_of"]) == ("broken", "pkg-b")
    table = site.run("list-agents", "--load", site.only).stdout
    assert "it is broken alone, and works after pkg-b: " in table
