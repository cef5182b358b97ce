"""Which speech and language models a session gets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from livekit.agents import Agent, AgentSession, inference, llm
from livekit.agents.utils import is_given

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.lack import Lack
from openrtc.model.provider import ProviderContext
from openrtc.plugins.lacks import tells_of_missing_key
from openrtc.runtime.providers import MODEL_KINDS, OFFLINE, OFFLINE_SCHEME, ModelKind, Providers, describe_model
from openrtc.settings.config import SessionDefaults

SET_BY_AGENT = "set by the agent"

# livekit-agents 1.8.0 has no duplex models.
_REALTIME: tuple[type, ...] = (llm.RealtimeModel, getattr(llm, "DuplexModel", llm.RealtimeModel))


def choose_models(
    spec: AgentSpec, agent: Agent, defaults: SessionDefaults, providers: Providers
) -> dict[ModelKind, Any]:
    """Return what stt, llm and tts are to be: the spec's, else the default's; absent where the agent sets its own.

    Args:
        spec: How the agent is built.
        agent: The agent of this session.
        defaults: Models of agents that set none. A realtime language model hears and speaks by itself and gets none.
        providers: Who knows which kinds of offline models there are here.
    """
    open_kinds = [kind for kind in MODEL_KINDS if not is_given(getattr(agent, kind))]
    named = {kind: first_given(getattr(spec, kind), spec.fixed_session_options.get(kind)) for kind in open_kinds}
    if not is_realtime(agent.llm if is_given(agent.llm) else named["llm"]):
        for kind in open_kinds:
            there = defaults.offline and providers.why_unavailable(OFFLINE_SCHEME, kind) is None
            named[kind] = first_given(named[kind], getattr(defaults, kind) or (OFFLINE if there else None))
    return {kind: model for kind, model in named.items() if model is not None}


def label_models(chosen: Mapping[ModelKind, Any], agent: Agent) -> dict[str, str]:
    """Return what each of stt, llm and tts is, in words, for hooks and logs."""
    return {
        kind: SET_BY_AGENT if is_given(getattr(agent, kind)) else describe_model(chosen.get(kind))
        for kind in MODEL_KINDS
    }


def build_models(chosen: Mapping[ModelKind, Any], providers: Providers, context: ProviderContext) -> dict[str, Any]:
    """Build every chosen model for one session.

    Raises:
        OpenRTCError: A provider cannot be used here, or failed.
    """
    return {kind: providers.build(kind, model, context) for kind, model in chosen.items()}


def use_stand_in(agent: Agent, model: Any) -> None:
    """Let an agent use a model in place of its own language model, and hear and speak with nothing of its own.

    Args:
        agent: The agent, before it runs.
        model: The language model of its session.
    """
    own = [kind for kind in (*MODEL_KINDS, "vad") if is_given(given := getattr(agent, kind)) and given is not None]
    options: dict[str, Any] = {kind: model if kind == "llm" else None for kind in own}
    if options:
        agent.update_options(**options)


def require_served(agent: Agent, models: Mapping[str, Any], lacks: Sequence[Lack]) -> None:
    """Raise where a model of a session is one of LiveKit's Cloud that nobody serves here.

    livekit-agents would try again and again, and log each time.

    Args:
        agent: The session's agent.
        models: The models of the session, by kind.
        lacks: What the agent is known to lack.

    Raises:
        OpenRTCError: Says which, and the ways out.
    """
    lack = next((one for one in lacks if one.kind == "cloud"), None)
    if lack is None:
        return
    used = [own if is_given(own := getattr(agent, kind)) else models.get(kind) for kind in MODEL_KINDS]
    if any(isinstance(model, str | inference.STT | inference.LLM | inference.TTS) for model in used):
        raise OpenRTCError(f"it lacks {lack.what}", fix=lack.fix)


@contextlib.contextmanager
def explain_missing_key(lacks: Sequence[Lack]) -> Iterator[None]:
    """Say of an agent that cannot be built since a key is missing what it is known to lack, and the ways out.

    Args:
        lacks: What the agent is known to lack.

    Raises:
        OpenRTCError: In place of what a model's library raises.
    """
    try:
        yield
    except Exception as error:  # of whatever type its library has for it
        lack = next((one for one in lacks if one.kind in ("cloud", "key")), None)
        if lack is None or isinstance(error, OpenRTCError) or not tells_of_missing_key(str(error)):
            raise
        raise OpenRTCError(f"it lacks {lack.what}", fix=lack.fix) from error


def has_realtime_model(agent: Agent, session: AgentSession[Any]) -> bool:
    """Whether an agent's language model, its own or that of its session, hears and speaks by itself."""
    return is_realtime(agent.llm if is_given(agent.llm) else session.llm)


def is_realtime(model: Any) -> bool:
    """Whether a language model (or its string) hears and speaks by itself."""
    if isinstance(model, str):
        # It is built later, by livekit-agents or a provider: until then its name is all there is.
        return "realtime" in model
    return isinstance(model, _REALTIME)


def first_given(*values: Any) -> Any:
    """Return the first value that is not None, if any."""
    return next((value for value in values if value is not None), None)
