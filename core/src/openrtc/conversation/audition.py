"""Builds an agent once before the demo: whether it can be built here, and what can be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from livekit.agents import AgentSession

from openrtc.call import Call
from openrtc.catalog.build import build_agent
from openrtc.catalog.spec import AgentSpec
from openrtc.conversation.questions import questions_for
from openrtc.conversation.way import INSTALL_OFFLINE
from openrtc.errors import OpenRTCError, one_line
from openrtc.providers.provider import ProviderContext
from openrtc.providers.providers import MODEL_KINDS, ModelKind
from openrtc.routing.decision import Decision
from openrtc.routing.request import RouteRequest
from openrtc.worker.failure import place_of
from openrtc.worker.models import build_models, choose_models, is_realtime, label_models
from openrtc.worker.runtime import Runtime

MODELS_FIX = f"set it in the agent or under [defaults] in openrtc.toml; without keys: {INSTALL_OFFLINE}"
_CREDENTIAL = re.compile(r"api[ _-]?(key|secret|token)|credential|access[ _-]?token", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent of the demo.

    Args:
        name: Its name.
        questions: What a scripted caller asks.
        lacking: What it needs and this machine has not, such as an API key: it is left out.
        problem: Why it cannot be built: it has failed.
    """

    name: str
    questions: tuple[str, ...] = ()
    lacking: str | None = None
    problem: str | None = None

    @property
    def usable(self) -> bool:
        """Whether a call can be held."""
        return self.lacking is None and self.problem is None


async def audition(runtime: Runtime, name: str, *, text_only: bool) -> Candidate:
    """Build an agent and its models once, and return what to ask it.

    Args:
        runtime: What the calls share.
        name: Name of an agent that is ready.
        text_only: Whether the demo speaks no word.
    """
    spec = runtime.catalog.get(name).spec
    assert spec is not None, "a ready agent has a spec"
    if company := runtime.catalog.company([name]):
        return Candidate(name, lacking=str(company.why_no_room))
    if spec.entrypoint is not None:
        return Candidate(name, lacking="it starts its own session, which the demo cannot follow")
    try:
        agent = await build_agent(spec, _rehearsal(name, runtime))
        missing = await _build_models(runtime, spec, agent, name, text_only=text_only)
    except (Exception, SystemExit) as error:  # whatever somebody's package raises
        return _failed(name, error)
    if missing:
        return Candidate(name, lacking=f"it has no {' and no '.join(missing)} ({MODELS_FIX})")
    return Candidate(name, questions_for(spec.examples, agent.tools))


def _rehearsal(name: str, runtime: Runtime) -> Call:
    decision = Decision((name,), "demo", "a rehearsal")
    return Call(
        job_id="rehearsal",
        agent_name=name,
        request=RouteRequest(room_name="rehearsal"),
        decision=decision,
        resources=runtime.resources,
    )


async def _build_models(runtime: Runtime, spec: AgentSpec, agent: Any, name: str, *, text_only: bool) -> list[str]:
    """Build the models and close them; return which kinds the agent has none of."""
    kinds: tuple[ModelKind, ...] = ("llm",) if text_only else MODEL_KINDS
    chosen = {
        kind: model for kind, model in choose_models(spec, agent, runtime.config.defaults).items() if kind in kinds
    }
    context = ProviderContext(agent_name=name, agent=agent, examples=spec.examples)
    models: Mapping[Any, Any] = build_models(chosen, runtime.providers, context)
    # livekit-agents asks for the keys of models that are named by strings when it makes the session.
    AgentSession(**models, vad=None, turn_handling={"turn_detection": "manual"})
    for model in models.values():
        if hasattr(model, "aclose"):
            await model.aclose()
    if is_realtime(chosen.get("llm") or agent.llm):
        return []
    labels = label_models(chosen, agent)
    return [kind for kind in kinds if not labels[kind]]


def _failed(name: str, error: BaseException) -> Candidate:
    said = one_line(str(error) or type(error).__name__, 300)
    if _CREDENTIAL.search(said):
        return Candidate(name, lacking=said)
    where = "" if isinstance(error, OpenRTCError) else f" at {place_of(error)}"
    kind = "" if isinstance(error, OpenRTCError) else f"{type(error).__name__}: "
    return Candidate(name, problem=f"{kind}{said}{where}")
