"""Which speech and language models a session gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livekit.agents import llm
from livekit.agents.utils import is_given

from openrtc.catalog.spec import AgentSpec
from openrtc.config import SessionDefaults
from openrtc.providers.provider import ProviderContext
from openrtc.providers.providers import MODEL_KINDS, OFFLINE, ModelKind, Providers, describe

SET_BY_AGENT = "set by the agent"

# livekit-agents 1.8.0 has no duplex models.
_REALTIME: tuple[type, ...] = (llm.RealtimeModel, getattr(llm, "DuplexModel", llm.RealtimeModel))


def choose_models(spec: AgentSpec, agent: Any, defaults: SessionDefaults) -> dict[ModelKind, Any]:
    """Return what stt, llm and tts are to be: the spec's, else the default's; absent where the agent sets its own.

    Args:
        spec: How the agent is built.
        agent: The ``livekit.agents.Agent`` of this session.
        defaults: Models of agents that set none. A realtime language model hears and speaks by itself and gets none.
    """
    chosen: dict[ModelKind, Any] = {}
    own = {kind for kind in MODEL_KINDS if is_given(getattr(agent, kind))}
    for kind in MODEL_KINDS:
        named = getattr(spec, kind)
        if named is None:
            named = spec.session_options.get(kind)
        if named is not None and kind not in own:
            chosen[kind] = named
    realtime = is_realtime(agent.llm if "llm" in own else chosen.get("llm"))
    for kind in MODEL_KINDS:
        if kind not in own and kind not in chosen and not realtime:
            default = getattr(defaults, kind) or (OFFLINE if defaults.offline else None)
            if default is not None:
                chosen[kind] = default
    return chosen


def label_models(chosen: Mapping[ModelKind, Any], agent: Any) -> dict[str, str]:
    """Return what each of stt, llm and tts is, in words, for hooks and logs."""
    return {
        kind: SET_BY_AGENT if is_given(getattr(agent, kind)) else describe(chosen.get(kind)) for kind in MODEL_KINDS
    }


def build_models(chosen: Mapping[ModelKind, Any], providers: Providers, context: ProviderContext) -> dict[str, Any]:
    """Build every chosen model for one session.

    Raises:
        OpenRTCError: A provider cannot be used here, or failed.
    """
    return {kind: providers.build(kind, model, context) for kind, model in chosen.items()}


def is_realtime(model: Any) -> bool:
    """Whether a language model (or its string) hears and speaks by itself."""
    if isinstance(model, str):
        return "realtime" in model
    return isinstance(model, _REALTIME)
