"""Which agents use livekit-agents' own end-of-turn model, whose weights take about 240 MB."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from openrtc.catalog.spec import AgentSpec
from openrtc.worker.runtime import Runtime


def needs_end_of_turn(runtime: Runtime, resources: Collection[str]) -> bool:
    """Whether an agent that is ready may use the model: livekit-agents does so where nothing else is said.

    Args:
        runtime: What the calls share.
        resources: Keys of the resources that are there.
    """
    defaults = runtime.config.defaults
    if defaults.offline:
        return False
    elsewhere = "turn_detection" in resources or defaults.turn_detection is not None
    specs = [_who_listens(runtime, name) for name in runtime.catalog.ready]
    return any(_uses_model(spec, elsewhere=elsewhere) for spec in specs if spec is not None)


def _who_listens(runtime: Runtime, name: str) -> AgentSpec | None:
    spec = runtime.catalog.get(name).spec
    if spec is None or spec.cast is None:
        return spec
    ear = next(member for member in spec.cast.members if member.role == spec.cast.ear)
    return ear.spec or runtime.catalog.get(str(ear.agent)).spec


def _uses_model(spec: AgentSpec, *, elsewhere: bool) -> bool:
    turn: Any = spec.session_options.get("turn_handling") or {}
    own = spec.turn_detection if spec.turn_detection is not None else turn.get("turn_detection")
    # The words are "vad", "stt", "manual" and "realtime_llm"; an object may be or hold the model.
    return not elsewhere if own is None else not isinstance(own, str)
