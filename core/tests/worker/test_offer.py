"""What a worker has that is ready, and what its successor would lose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, Policy
from openrtc.worker.offer import Offer, describe_differences, describe_versions, find_losses

if TYPE_CHECKING:
    from conftest import Site

PLUGIN = """
from openrtc import hookimpl

@hookimpl
def openrtc_route(request, agents):
    return None
"""


@pytest.fixture
def three(site: Site, agent_source: str) -> Site:
    """A package with two agents, one with a plugin that routes, and one that does not parse."""
    site.add("pkg-a", agents={"desk": "pkg_a:Support", "help": "pkg_a:Support"}, files={"pkg_a.py": agent_source})
    site.add("pkg-p", plugins={"vip": "pkg_p"}, files={"pkg_p.py": PLUGIN})
    site.add("pkg-b", agents={"bad": "pkg_b:Support"}, files={"pkg_b.py": "import this\ndef broken(:\n"})
    return site


def build(*allow: str, deny: tuple[str, ...] = ()) -> Runtime:
    return build_runtime(Config(policy=Policy(allow=allow or ("pkg-a", "pkg-b", "pkg-p"), deny=deny)))


@pytest.mark.usefixtures("three")
def test_what_is_ready_is_offered_and_nobody_loses_it_to_himself() -> None:
    runtime = build()
    offer = Offer.of(runtime)
    assert offer.agents == {"desk": ("pkg-a", "1.0"), "help": ("pkg-a", "1.0")}
    assert offer.plugins == {"pkg-p:vip": ("pkg-p", "1.0")}
    assert offer.default == "desk" and "pkg-p:vip" in offer.rules
    assert not list(find_losses(Offer(**offer.to_json()), runtime))


@pytest.mark.usefixtures("three")
def test_each_loss_is_one_line_that_says_whose_it_is_where_it_fails_and_what_to_do() -> None:
    agents = {"bad": ("pkg-b", "0.9"), "old": ("pkg-a", "0.9"), "away": ("pkg-x", "2.0"), "desk": ("pkg-a", "0.9")}
    kept = Offer(agents=agents, plugins={"pkg-p:gold": ("pkg-p", "0.9")})
    losses = dict(find_losses(kept, build("pkg-a", "pkg-b", "pkg-p", "pkg-x")))
    assert set(losses) == {"bad", "old", "away", "pkg-p:gold"}
    assert losses["bad"].startswith("agent 'bad' of pkg-b 1.0 is broken: SyntaxError: invalid syntax at /")
    assert "/pkg_b.py:2 (" in losses["bad"] and 'put "pkg-b:bad" into deny of [plugins])' in losses["bad"]
    assert losses["old"].startswith(
        "agent 'old' of pkg-a 1.0 is gone: pkg-a 0.9 has brought it (install pkg-a 0.9 again"
    )
    assert losses["away"].startswith("agent 'away' of pkg-x 2.0 is gone: that is not installed any more (")
    assert "pkg-x==2.0" in losses["away"] and 'put "pkg-x" into deny' in losses["away"]
    assert losses["pkg-p:gold"].startswith("plugin 'pkg-p:gold' of pkg-p 1.0 is gone: pkg-p 0.9 has brought it")
    assert not any("\n" in line for line in losses.values())


@pytest.mark.usefixtures("three")
def test_what_cannot_be_prepared_is_lost_as_well() -> None:
    runtime = build()
    kept = Offer.of(runtime)
    runtime.mark_broken({"desk": "no voice"}, fix="openrtc plugins")
    ((name, line),) = find_losses(kept, runtime)
    assert name == "desk" and "is broken: no voice (openrtc plugins; " in line


@pytest.mark.usefixtures("three")
def test_what_the_operator_has_switched_off_is_no_loss() -> None:
    kept = Offer.of(build())
    gone = replace(kept, agents={**kept.agents, "away": ("pkg-x", "2.0"), "part": ("pkg-y", "2.0")})
    denied = ("pkg-a:desk", "pkg-p", "pkg-x", "pkg-y:part")
    assert not list(find_losses(gone, build("pkg-a", "pkg-b", "pkg-p", "pkg-x", "pkg-y", deny=denied)))
    assert not list(find_losses(gone, build("pkg-a"))), "they are not in the allow list"


def test_another_default_or_routing_is_told_and_so_are_versions() -> None:
    before = Offer(agents={"a": ("x", "1"), "b": ("y", "1")}, default="a", rules=("one", "two"))
    after = Offer(agents={"a": ("x", "2"), "b": ("z", "1"), "c": ("x", "2")}, default="c", rules=("two",))
    assert list(describe_differences(before, after)) == [
        "calls that no rule decides go to 'c', and before to 'a'",
        "routing is two, and was one > two",
        "agent 'b' is that of z, and was that of y",
    ]
    assert describe_versions(before, after) == "x 1 is 2 now; y 1 is z 1 now; 'c' of x 2 is new"
    assert describe_versions(after, before).endswith("'c' of x 2 is switched off")
    assert not describe_versions(before, Offer(**before.to_json()))
    assert not list(describe_differences(before, Offer(**before.to_json())))
