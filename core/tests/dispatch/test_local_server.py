"""Which LiveKit server a command takes where the settings leave it open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openrtc.dispatch.local_server import find_connection
from openrtc.errors import OpenRTCError
from openrtc.observe import snapshots
from openrtc.server.settings import DEV_API_KEY, DEV_API_SECRET, LIVEKIT_DEV_SECRET, find_public_key
from openrtc.settings.config import WorkerSettings

HERE = "ws://127.0.0.1:7880"


def worker(url: str = HERE, public_key: str = "openrtc", agent_name: str = "") -> dict[str, Any]:
    return {"pid": 7, "url": url, "public_key": public_key, "agent_name": agent_name}


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(snapshots, "read_snapshots", lambda: found)
    return found


def test_the_server_of_a_worker_with_a_well_known_key_is_taken(workers: list[dict[str, Any]]) -> None:
    # One of an earlier release, one that does not answer, one with a key of its own, and two of one server.
    workers += [{"pid": 1, "url": "ws://a"}, {"pid": 2, "state": "does not answer"}, worker("ws://b", "")]
    workers += [worker(agent_name="desk"), worker(agent_name="desk")]
    found = find_connection(WorkerSettings())
    assert (found.url, found.api_key, found.api_secret, found.agent_name) == (HERE, DEV_API_KEY, DEV_API_SECRET, "desk")
    assert find_connection(WorkerSettings(agent_name="other")).agent_name == "other"
    assert find_connection(WorkerSettings(url="http://localhost:7880/")).url == HERE


def test_of_livekits_own_server_it_is_its_own_public_secret(workers: list[dict[str, Any]]) -> None:
    workers.append(worker(public_key="livekit-server --dev"))
    assert find_connection(WorkerSettings()).api_secret == LIVEKIT_DEV_SECRET


def test_what_is_given_is_never_replaced(workers: list[dict[str, Any]]) -> None:
    workers.append(worker())
    others: dict[str, Any] = {"url": "wss://x.livekit.cloud", "api_key": "other", "api_secret": "s" * 40}
    for name, text in others.items():
        with pytest.raises(OpenRTCError, match="missing: LIVEKIT_") as raised:
            find_connection(replace(WorkerSettings(), **{name: text}))
        assert text not in str(raised.value)
    full = WorkerSettings(url="ws://own:1", api_key="k", api_secret="s")
    assert find_connection(full).url == "ws://own:1"


def test_of_several_servers_one_has_to_be_chosen(workers: list[dict[str, Any]]) -> None:
    workers += [worker(), worker("ws://127.0.0.1:9")]
    with pytest.raises(OpenRTCError, match="several local LiveKit servers.*choose one with --url"):
        find_connection(WorkerSettings())
    assert find_connection(WorkerSettings(url="ws://127.0.0.1:9")).url == "ws://127.0.0.1:9"


def test_a_token_needs_no_url(workers: list[dict[str, Any]]) -> None:
    given = WorkerSettings(api_key="k", api_secret="s")
    assert find_connection(given, needs_url=False).url == ""
    workers.append(worker())
    assert find_connection(given, needs_url=False).url == "", "that server has another key"


def test_a_key_is_public_with_its_public_secret_only() -> None:
    assert find_public_key(DEV_API_KEY, DEV_API_SECRET) == "openrtc"
    assert find_public_key(DEV_API_KEY, "s" * 40) == find_public_key("", "") == ""
