from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from openrtc import AgentRequest, LiveKitConnection, create_token
from openrtc.dispatch.tokens import build_join_url
from openrtc.errors import OpenRTCError

SECRET = "a-secret-of-thirty-two-characters"
CONNECTION = LiveKitConnection(url="wss://me:pw@lk.test/", api_key="key", api_secret=SECRET, agent_name="front")


def claims(**more: Any) -> dict[str, Any]:
    token = create_token("ann", "r", **{"connection": CONNECTION, **more})
    read: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return read


def test_a_token_lets_a_participant_into_one_room() -> None:
    read = claims(name="Ann", metadata="m", attributes={"k": "v"}, valid_for=timedelta(minutes=5))
    assert (read["sub"], read["iss"], read["name"], read["metadata"], read["attributes"]) == (
        "ann",
        "key",
        "Ann",
        "m",
        {"k": "v"},
    )
    assert (read["video"]["room"], read["video"]["roomJoin"]) == ("r", True)
    assert read["exp"] - read["nbf"] == 300
    assert "canManageAgentSession" not in read["video"]
    assert claims(manage_session=True)["video"]["canManageAgentSession"] is True
    assert "roomConfig" not in read, "a token without agents leaves automatic dispatch alone"


def agents_of(read: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the agents of a token, each without its mark, which it must have."""
    agents: list[dict[str, Any]] = read["roomConfig"]["agents"]
    assert all(one["attributes"].pop("openrtc.mark") for one in agents)
    return agents


def test_agents_are_asked_for_by_the_attribute_of_the_dispatch() -> None:
    read = claims(agents=["support", AgentRequest(agent="sales", metadata='{"k": 1}', attributes={"a": "b"})])
    assert agents_of(read) == [
        {"agentName": "front", "attributes": {"openrtc.agent": "support"}},
        {"agentName": "front", "metadata": '{"k": 1}', "attributes": {"a": "b", "openrtc.agent": "sales"}},
    ]


def test_with_names_per_agent_they_are_asked_for_by_name() -> None:
    connection = LiveKitConnection(url="ws://x", api_key="k", api_secret=SECRET, agent_name="per-agent")
    asked = agents_of(claims(agents=["support"], connection=connection))
    assert asked == [{"agentName": "support", "attributes": {}}]


def test_a_token_must_be_valid_for_some_time() -> None:
    with pytest.raises(OpenRTCError, match="valid for some time"):
        claims(valid_for=timedelta(0))


def test_the_address_to_join_carries_server_and_token_but_no_password() -> None:
    address = build_join_url("TOKEN", connection=CONNECTION)
    assert address.startswith("https://meet.livekit.io/custom?")
    assert parse_qs(urlsplit(address).query) == {"liveKitUrl": ["wss://lk.test"], "token": ["TOKEN"]}
    assert build_join_url("T", page="http://here/?a=1", connection=CONNECTION).startswith(
        "http://here/?a=1&liveKitUrl="
    )


def test_what_is_missing_is_told_and_a_connection_hides_its_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    with pytest.raises(OpenRTCError, match="missing: LIVEKIT_URL, LIVEKIT_API_SECRET"):
        create_token("ann", "r")
    assert SECRET not in repr(CONNECTION) and "key" not in repr(CONNECTION).partition("url=")[2].partition("agent")[0]
