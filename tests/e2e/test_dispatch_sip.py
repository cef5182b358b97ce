"""SIP dispatch rules on a LiveKit server with redis: who answers the telephone; no SIP service is needed for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cli import CommandLine
from e2e.redis import redis_server
from e2e.tone_agents import TONE_AGENTS
from openrtc import AgentRequest, LiveKitConnection, create_sip_rule, delete_sip_rule, list_sip_rules
from openrtc.server import LocalServer

NAME = "tone-desk"
PIN = "918273"


@pytest.fixture(scope="module")
def telephone() -> Iterator[LocalServer]:
    """A LiveKit server with redis."""
    with redis_server() as redis, LocalServer(port=0, redis=redis) as running:
        yield running


@pytest.fixture(scope="module")
def cli(telephone: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    packages = TONE_AGENTS.install_into(tmp_path_factory.mktemp("packages"))
    return CommandLine(telephone.url, telephone.api_key, telephone.api_secret, NAME, [packages])


def test_rules_are_made_listed_and_deleted_on_the_command_line(cli: CommandLine) -> None:
    assert cli.run("sip", "rule", "list").out == "there is no SIP dispatch rule\n"
    options = ("--agent", 'beta={"from": "phone"}', "--agent", "gamma", "--room-prefix", "beta-", "--pin", PIN)
    made = cli.run("sip", "rule", "create", "--name", "hotline", "--json", *options)
    assert PIN not in made.out
    rule = made.document["rule"]
    assert rule["agents"] == [
        {"agent_name": NAME, "agent": "beta", "metadata": '{"from": "phone"}', "signed": True},
        {"agent_name": NAME, "agent": "gamma", "metadata": "", "signed": True},
    ]
    assert (rule["name"], rule["room_prefix"], rule["room"], rule["pin"]) == ("hotline", "beta-", "", True)
    listed = cli.run("sip", "rule", "list", "--json")
    assert listed.document["rules"] == [rule] and PIN not in listed.out
    shown = cli.run("sip", "rule", "list").out
    assert "hotline" in shown and "beta, gamma" in shown and PIN not in shown
    again = cli.run("sip", "rule", "create", "--name", "twice", *options)
    assert again.code == 2 and len(again.err.splitlines()) == 1, again.err
    assert cli.run("sip", "rule", "delete", rule["id"]).code == 0
    assert cli.run("sip", "rule", "list", "--json").document["rules"] == []
    gone = cli.run("sip", "rule", "delete", rule["id"])
    assert gone.code == 2 and "there is no SIP dispatch rule" in gone.err


async def test_the_same_can_be_done_with_functions(telephone: LocalServer) -> None:
    connection = LiveKitConnection(
        url=telephone.url, api_key=telephone.api_key, api_secret=telephone.api_secret, agent_name="per-agent"
    )
    request = AgentRequest(agent="beta", metadata="m")
    made = await create_sip_rule("lobby", agents=[request], room="lobby", trunks=["ST_x"], connection=connection)
    assert (made.room, made.room_prefix, made.trunks, made.pin) == ("lobby", "", ("ST_x",), False)
    assert [(one.agent_name, one.agent, one.metadata, one.signed) for one in made.agents] == [
        ("beta", "beta", "m", True)
    ]
    assert await list_sip_rules(connection=connection) == (made,)
    assert (await delete_sip_rule(made.id, connection=connection)).id == made.id
    assert await list_sip_rules(connection=connection) == ()


def test_a_server_without_redis_says_that_it_has_no_sip(server: LocalServer) -> None:
    bare = CommandLine(server.url, server.api_key, server.api_secret, NAME, [Path()])
    done = bare.run("sip", "rule", "list")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "has no SIP: it runs without redis" in done.err
