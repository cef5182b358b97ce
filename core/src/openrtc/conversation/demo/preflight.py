"""Builds an agent once before the demo: whether it can be built here, and what can be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livekit.agents import AgentSession

from openrtc.conversation.offline import models_fix
from openrtc.errors import OpenRTCError, one_line
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.metadata import fit_metadata
from openrtc.model.provider import ProviderContext
from openrtc.model.request import RouteRequest
from openrtc.plugins.lacks import tells_of_missing_key
from openrtc.runtime.providers import MODEL_KINDS, ModelKind
from openrtc.runtime.runtime import Runtime
from openrtc.session.build import build_agent
from openrtc.session.failure import find_failing_line
from openrtc.session.models import build_models, choose_models, is_realtime, label_models

HELLO = "hello"
MOST_QUESTIONS = 2
"""Enough to see that the agent goes on after its first answer."""

_MOST_WORDS = 14
"""A docstring's sentence that is longer is not what a caller would say."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What came of building an agent before the demo.

    Args:
        name: The agent's name.
        questions: What a scripted caller asks; none where that is chosen when its session has started.
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


async def run_preflight(runtime: Runtime, name: str, *, text_only: bool, in_rooms: bool) -> Preflight:
    """Build an agent and its models once, and choose what to ask it.

    Args:
        runtime: What the calls share.
        name: Name of an agent that is ready.
        text_only: Whether the demo speaks no word.
        in_rooms: Whether it holds its calls in rooms.
    """
    spec = runtime.catalog.get(name).spec
    assert spec is not None, "a ready agent has a spec"
    if cast := runtime.catalog.resolve_cast([name]):
        return Preflight(name, lacking=str(cast.why_no_room))
    if spec.entrypoint is not None:
        if in_rooms:
            return Preflight(name, choose_questions(spec.examples, ()) if spec.examples else ())
        return Preflight(name, lacking="it waits in a room for somebody to join, and this demo has no rooms")
    if lacks := [lack for lack in runtime.find_lacks(name) if lack.kind in ("key", "cloud")]:
        return Preflight(name, lacking=f"it lacks {' and '.join(map(str, lacks))}")
    try:
        agent = await build_agent(spec, _build_call(name, runtime))
        missing = await _find_missing_models(runtime, spec, agent, name, text_only=text_only)
    except (Exception, SystemExit) as error:  # whatever somebody's package raises: it must not end the demo
        return _explain_failure(name, error)
    if missing:
        return Preflight(name, lacking=f"it has no {' and no '.join(missing)} ({models_fix()})")
    return Preflight(name, choose_questions(spec.examples, agent.tools))


def choose_questions(examples: Sequence[str], tools: Iterable[Any], most: int = MOST_QUESTIONS) -> tuple[str, ...]:
    """Return what to ask an agent, at least one sentence.

    Args:
        examples: The sentences of the agent's `AgentSpec`.
        tools: The agent's function tools.
        most: How many questions at most.
    """
    given = tuple(example.strip() for example in examples if example.strip())
    if given:
        return _choose_dissimilar(given, most)
    # A question about a tool that needs nothing can be answered at once.
    ordered = sorted((tool for tool in tools if _get_name(tool)), key=lambda tool: bool(_list_required(tool)))
    return tuple(_write_question(tool) for tool in ordered[:most]) or (HELLO,)


def _choose_dissimilar(sentences: Sequence[str], most: int) -> tuple[str, ...]:
    """Return sentences that have few words in common: the examples for one tool tend to stand together."""
    chosen = [sentences[0]]
    rest = list(sentences[1:])
    while rest and len(chosen) < most:
        known = set().union(*(_split_words(sentence) for sentence in chosen))
        chosen.append(min(rest, key=lambda sentence: len(_split_words(sentence) & known)))
        rest.remove(chosen[-1])
    return tuple(chosen)


def _split_words(sentence: str) -> set[str]:
    return set(re.findall(r"[a-z']+", sentence.lower()))


def _get_name(tool: Any) -> str:
    return str(getattr(getattr(tool, "info", None), "name", "") or "")


def _list_required(tool: Any) -> Sequence[str]:
    from livekit.agents.llm.utils import build_legacy_openai_schema

    schema = getattr(tool.info, "raw_schema", None) or build_legacy_openai_schema(tool)["function"]
    required: Sequence[str] = schema.get("parameters", {}).get("required", ())
    return required


def _write_question(tool: Any) -> str:
    """Return the first sentence of a tool's docstring, or its name."""
    description = getattr(tool.info, "description", None) or getattr(tool.info, "raw_schema", {}).get("description")
    sentence = re.split(r"[.:\n]", str(description or "").strip(), maxsplit=1)[0]
    words = sentence.split()
    if not words or len(words) > _MOST_WORDS:
        return _get_name(tool).replace("_", " ")
    return " ".join([words[0][:1].lower() + words[0][1:], *words[1:]])


def _build_call(name: str, runtime: Runtime) -> Call:
    request = RouteRequest(room_name="rehearsal")
    return Call(
        job_id="rehearsal",
        agent_name=name,
        request=request,
        metadata=fit_metadata(request, runtime.catalog.get(name).spec),
        decision=Decision((name,), "demo", "a rehearsal"),
        resources=runtime.resources,
    )


async def _find_missing_models(
    runtime: Runtime, spec: AgentSpec, agent: Any, name: str, *, text_only: bool
) -> list[str]:
    """Build the models and close them; return which kinds the agent has none of."""
    kinds: tuple[ModelKind, ...] = ("llm",) if text_only else MODEL_KINDS
    every = choose_models(spec, agent, runtime.config.defaults, runtime.providers)
    chosen = {kind: model for kind, model in every.items() if kind in kinds}
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


def find_lack(message: str) -> str | None:
    """Return what this machine lacks, such as an API key, where an error's message tells of that."""
    return message if tells_of_missing_key(message) else None


def _explain_failure(name: str, error: BaseException) -> Preflight:
    message = one_line(str(error) or type(error).__name__, 300)
    if lacking := find_lack(message):
        return Preflight(name, lacking=lacking)
    if not isinstance(error, OpenRTCError):  # whose message says where
        message = f"{type(error).__name__}: {message} at {find_failing_line(error)}"
    return Preflight(name, problem=message)
