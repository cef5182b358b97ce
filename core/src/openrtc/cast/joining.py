"""Builds the members of a running cast."""

from __future__ import annotations

import contextvars
from dataclasses import replace

from livekit.agents import Agent
from livekit.agents.utils import is_given

from openrtc.call import Call
from openrtc.cast.cast_member import CastMember
from openrtc.cast.company import Company, Part
from openrtc.cast.current import current
from openrtc.cast.seat import Seat
from openrtc.catalog.build import build_agent
from openrtc.worker.greeting import greeting_of
from openrtc.worker.hang_up import limited
from openrtc.worker.models import is_realtime
from openrtc.worker.runtime import Runtime
from openrtc.worker.session import kept_in_its_call
from openrtc.worker.session_options import Hearing, build_session
from openrtc.worker.upstream.jobs import replace_tool_functions

HOUSE_RULES = (
    "You are in a call together with others: {others}. What they say is told to you as lines that begin with their "
    "name in brackets, and everybody hears what you say. Answer only for yourself, briefly, and without a name in "
    "brackets."
)


async def build_seat(
    part: Part, member: CastMember, company: Company, call: Call, runtime: Runtime, *, text_only: bool
) -> tuple[Seat, Agent]:
    """Build a member's agent and session; call it in a task of the member's own.

    Args:
        part: What the declaration says of it.
        member: What its code gets.
        company: The cast.
        call: The call.
        runtime: What the calls share.
        text_only: Whether the conversation is held in text.
    """
    current.set(member)
    call = replace(call, agent_name=part.spec.name, cast_member=member)
    async with limited(part.spec.name):
        agent = await build_agent(part.spec, call)
    await _tell_house_rules(agent, part, company)
    replace_tool_functions(agent, kept_in_its_call)
    hearing = hearing_of(part, company)
    # People may say to the ear whatever is meant for another member.
    spec = replace(part.spec, examples=company.examples) if hearing == "people" else part.spec
    session, _, ears = await build_session(spec, agent, call, runtime, text_only=text_only, hearing=hearing)
    seat = Seat(
        part=part,
        session=session,
        room=None,
        listens=hearing == "people",
        ears=ears,
        hears_members=hearing == "members" and not text_only,
        realtime=is_realtime(agent.llm if is_given(agent.llm) else session.llm),
        context=contextvars.copy_context(),
        greeting=greeting_of(part.spec, agent, runtime),
    )
    return seat, agent


def hearing_of(part: Part, company: Company) -> Hearing:
    """Return whom a member's session listens to."""
    if part.role == company.cast.ear:
        return "people"
    return "members" if company.cast.hears == "audio" else "nobody"


async def _tell_house_rules(agent: Agent, part: Part, company: Company) -> None:
    others = [f"{other.display_name} ({other.role})" for other in company.parts if other.role != part.role]
    if isinstance(agent.instructions, str):
        rules = HOUSE_RULES.format(others=", ".join([*others, "people"]))
        await agent.update_instructions(f"{agent.instructions}\n\n{rules}")
