"""Agent names that stand in packages' code: each is one agent's, or nobody's."""

from __future__ import annotations

from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import Loaded, LoadedAgent
from openrtc.discovery.entries import Entry
from openrtc.model.agents import AgentSpec
from openrtc.model.livekit_worker import LiveKitWorker
from openrtc.model.status import State, Status


async def entrypoint(context: Any) -> None: ...


def agent(name: str, in_code: str = "", **more: Any) -> LoadedAgent:
    entry = Entry(group="openrtc.agents", name=name, value=f"{name}:server", distribution=f"my-{name}", version="1")
    worker = LiveKitWorker(entrypoint=entrypoint, agent_name=in_code)
    spec = AgentSpec(name=name, entrypoint=entrypoint)
    return LoadedAgent(name=name, entry=entry, spec=spec, worker=worker, notes=worker.notes, **more)


def catalog_of(*agents: LoadedAgent) -> Catalog:
    return Catalog.of(Loaded(agents=agents))


def test_a_name_that_one_agent_has_is_its_own() -> None:
    catalog = catalog_of(agent("front", "reception"), agent("plain"), agent("same", "same"))
    assert catalog.names_in_code == {"reception": "front", "same": "same"}
    assert catalog.shared_names_in_code == {}
    assert catalog.get("front").notes == ("agent name 'reception' in its code",)


def test_a_name_that_two_have_is_nobodys_and_both_stay_ready() -> None:
    catalog = catalog_of(agent("one", "my-agent"), agent("two", "my-agent"), agent("three", "mine"))
    assert catalog.names_in_code == {"mine": "three"}
    assert catalog.shared_names_in_code == {"my-agent": ["one", "two"]}
    assert catalog.ready == ("one", "two", "three")
    assert catalog.get("one").notes[-1] == "that name is not registered: 'two' has it, too"


def test_a_name_that_is_another_agents_own_is_nobodys() -> None:
    catalog = catalog_of(agent("front", "plain"), agent("plain"))
    assert catalog.names_in_code == {}
    assert catalog.get("front").notes[-1] == "that name is not registered: 'plain' has it, too"
    assert catalog.get("plain").notes == ()


def test_an_agent_that_is_switched_off_keeps_no_name_from_others() -> None:
    off = agent("plain", status=Status(State.NOT_ALLOWED, "x"))
    assert catalog_of(agent("front", "plain"), off).names_in_code == {"plain": "front"}


def test_an_agent_that_cannot_be_used_claims_no_name() -> None:
    broken = agent("one", "my-agent", status=Status(State.BROKEN, "x"))
    assert catalog_of(broken, agent("two", "my-agent")).names_in_code == {"my-agent": "two"}
