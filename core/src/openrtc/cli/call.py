"""`openrtc call`: place a test call to an agent on a LiveKit server."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from openrtc.cli.dispatch_options import (
    add_agent_option,
    add_any_option,
    add_attribute_option,
    add_metadata_option,
    add_output_options,
    choose_room,
    parse_pairs,
    parse_seconds,
    read_checked_config,
    run_async,
)
from openrtc.cli.output import say

if TYPE_CHECKING:
    from openrtc.conversation.call.placed_call import PlacedCall, SpokenTurn
    from openrtc.conversation.call.utterances import Utterance
    from openrtc.dispatch.connection import LiveKitConnection

DEFAULT_UTTERANCES = [("say", "hello")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("agent", nargs="?", default="", metavar="AGENT", help="who is called; else the routing decides")
    add_agent_option(parser)
    parser.add_argument("--room", metavar="ROOM", help="name of the room (default: a new one)")
    add_metadata_option(parser)
    add_attribute_option(parser, "the job")
    for flag, metavar, meaning in (
        ("--say", "TEXT", "say this in the offline voice (repeatable; default: hello)"),
        ("--wav", "FILE", "say what a WAV file holds (repeatable, in order with --say)"),
    ):
        parser.add_argument(flag, action=_AppendSaid, dest="say", default=None, metavar=metavar, help=meaning)
    parser.add_argument(
        "--timeout", type=parse_seconds, default=20.0, metavar="SECONDS", help="for the agent to come (20)"
    )
    parser.add_argument(
        "--answer-within", type=parse_seconds, default=30.0, metavar="SECONDS", help="for each answer (30)"
    )
    add_any_option(parser)
    add_output_options(parser)


def run(args: argparse.Namespace) -> int:
    """Hold the call; exit 1 when nobody answers, or not every time."""
    from openrtc.cli.output import json_output
    from openrtc.dispatch.local_server import find_connection

    attributes = parse_pairs(args.attribute)
    args.agent = args.agent or args.named_agent
    config = read_checked_config(args, [args.agent])
    connection = find_connection(config.worker)
    with json_output() if args.json else contextlib.nullcontext(_hide) as write:
        result = run_async(_call(args, config, connection, attributes))
        code: int = result.pop("exit_code")
        write({"schema_version": 1, **result})
    return code


async def _call(
    args: argparse.Namespace, config: Any, connection: LiveKitConnection, attributes: dict[str, str]
) -> dict[str, Any]:
    """Hold the call and return it as JSON-ready values."""
    from openrtc.conversation.call.placed_call import PlacedCall
    from openrtc.conversation.call.utterances import prepare_utterances
    from openrtc.dispatch.agent_request import AgentRequest
    from openrtc.dispatch.waiting import DispatchLost

    utterances = await prepare_utterances(args.say or DEFAULT_UTTERANCES, config)
    request = AgentRequest(agent=args.agent, metadata=args.metadata, attributes=attributes)
    call = PlacedCall(connection, choose_room(args, args.agent or "call"), request)
    try:
        joined = await call.connect(args.timeout)
        return await _converse(args, call, utterances, joined)
    except DispatchLost as lost:
        say(f"openrtc: {lost}", error=True)
        return {"room": call.room, "lost": {"reason": lost.message, "fix": lost.fix}, "exit_code": 1}
    finally:
        await call.hang_up()


async def _converse(
    args: argparse.Namespace, call: PlacedCall, utterances: Sequence[Utterance], joined: float
) -> dict[str, Any]:
    show: Callable[[str], None] = _hide if args.json else say
    agent, identities = call.agent, [one.identity for one in call.agents]
    show(f"{call.room} -> {agent}   heard from after {joined:.2f} s")
    greeting = await call.wait_for_greeting()
    if greeting:
        show(f"  {'said':9} {greeting}")
    turns: list[SpokenTurn] = []
    for utterance in utterances:
        turns.append(await call.say(utterance, args.answer_within))
        _show_turn(show, turns[-1], args.answer_within)
        if turns[-1].left:
            break
    return {
        "room": call.room,
        "agent": agent,
        "identities": identities,
        "joined_seconds": round(joined, 3),
        "greeting": greeting,
        "turns": [_turn_to_json(turn) for turn in turns],
        "exit_code": 0 if all(turn.latency is not None for turn in turns) else 1,
    }


def _show_turn(show: Any, turn: SpokenTurn, limit: float) -> None:
    show(f"  {'asked':9} {turn.asked}")
    if turn.heard:
        show(f"  {'heard':9} {turn.heard}")
    if turn.latency is None:
        show(f"  {'silence':9} {turn.left or f'no answer was heard within {limit:g} s'}")
    else:
        show(f"  {'said':9} {turn.said or '(not written)'}  ({turn.latency:.2f} s)")


def _turn_to_json(turn: SpokenTurn) -> dict[str, Any]:
    latency = None if turn.latency is None else round(turn.latency, 3)
    return {"asked": turn.asked, "heard": turn.heard, "said": turn.said, "latency_seconds": latency} | (
        {"left": turn.left} if turn.left else {}
    )


def _hide(_: object) -> None:
    """Print nothing: with --json the lines, without it the document."""


class _AppendSaid(argparse.Action):
    """Keeps ``--say`` and ``--wav`` in the order in which they were given."""

    def __call__(self, parser: argparse.ArgumentParser, args: argparse.Namespace, value: Any, flag: Any = None) -> None:
        args.say = [*(args.say or []), (flag.lstrip("-"), value)]
