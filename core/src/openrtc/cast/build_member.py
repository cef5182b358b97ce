"""Builds the members of a running cast."""

from __future__ import annotations

import contextvars
from dataclasses import replace

from livekit.agents import Agent

from openrtc.cast.member_session import MemberSession
from openrtc.catalog.resolved_cast import ResolvedCast, ResolvedMember
from openrtc.model.call import Call
from openrtc.model.cast_member import CastMember, active_member
from openrtc.model.metadata import fit_metadata
from openrtc.observe.package_code import find_code_distribution
from openrtc.runtime.runtime import Runtime
from openrtc.session.build import build_agent
from openrtc.session.cleanup import limit_build_time
from openrtc.session.greeting import choose_greeting
from openrtc.session.models import has_realtime_model
from openrtc.session.options import Hearing, build_session
from openrtc.session.own_options import settle_options
from openrtc.threads import current_threads

HOUSE_RULES = (
    "You are in a call together with others: {others}. What they say is told to you as lines that begin with their "
    "name in brackets, and everybody hears what you say. Answer only for yourself, briefly, and without a name in "
    "brackets."
)


async def build_member_session(
    resolved: ResolvedMember,
    cast_member: CastMember,
    resolved_cast: ResolvedCast,
    call: Call,
    runtime: Runtime,
    *,
    text_only: bool,
) -> MemberSession:
    """Build a member's agent and session; await it in a task of the member's own, whose context then names the member.

    Args:
        resolved: Its role, and how it is built.
        cast_member: What its code gets from `current_member`.
        resolved_cast: The cast.
        call: The call.
        runtime: What the calls share.
        text_only: Whether the conversation is held in text.
    """
    active_member.set(cast_member)
    if owner := current_threads.get():
        distribution = find_code_distribution(str(getattr(resolved.spec.agent, "__module__", "")))
        current_threads.set(owner.part(resolved.role, distribution))  # its blocking code holds up no other member's
    call = replace(call, agent_name=resolved.spec.name, cast_member=cast_member)
    if resolved.spec.metadata_model is not None:
        call = replace(call, metadata=fit_metadata(call.request, resolved.spec))
    resolved = replace(resolved, spec=await settle_options(resolved.spec, call))
    async with limit_build_time(resolved.spec.name):
        agent = await build_agent(resolved.spec, call)
    await add_house_rules(agent, resolved, resolved_cast)
    hearing = choose_hearing(resolved, resolved_cast)
    # People say to the ear what is meant for another member, too: its recognition is prepared for all of it.
    spec = replace(resolved.spec, examples=resolved_cast.examples) if hearing == "people" else resolved.spec
    session, _, speech_input = await build_session(spec, agent, call, runtime, text_only=text_only, hearing=hearing)
    return MemberSession(
        resolved=resolved,
        agent=agent,
        session=session,
        room=None,
        listens=hearing == "people",
        speech_input=speech_input,
        hears_members=hearing == "members" and not text_only,
        realtime=has_realtime_model(agent, session),
        context=contextvars.copy_context(),
        greeting=choose_greeting(resolved.spec, agent, runtime),
    )


def choose_hearing(resolved: ResolvedMember, resolved_cast: ResolvedCast) -> Hearing:
    """Return whom a member's session listens to."""
    if resolved.role == resolved_cast.cast.ear:
        return "people"
    return "members" if resolved_cast.cast.hears == "audio" else "nobody"


async def add_house_rules(agent: Agent, resolved: ResolvedMember, resolved_cast: ResolvedCast) -> None:
    """Tell an agent how a member of this cast behaves."""
    others = [f"{other.display_name} ({other.role})" for other in resolved_cast.members if other.role != resolved.role]
    if isinstance(agent.instructions, str):  # not livekit-agents' `Instructions`, which differ for voice and text
        rules = HOUSE_RULES.format(others=", ".join([*others, "people"]))
        await agent.update_instructions(f"{agent.instructions}\n\n{rules}")
