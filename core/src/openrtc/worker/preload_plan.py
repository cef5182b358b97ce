"""What this worker's agents may use of livekit-agents' heavy parts, so that only that is loaded, before the first call.

The end-of-turn weights take about 240 MB; the SDK of OpenAI a fifth of a worker's start and 16 MB; what uploads
recordings 9 MB. Loaded during a call, each would hold up the loop that all calls share.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from livekit.agents.utils.misc import is_cloud

from openrtc.model.agents import AgentSpec
from openrtc.runtime.runtime import Runtime
from openrtc.speedups.imports import INFERENCE_LLM, UPLOADS, import_now
from openrtc.upstream.warm_up import warm_up

INFERENCE_VARIABLES = ("LIVEKIT_INFERENCE_URL", "LIVEKIT_INFERENCE_API_KEY")
"""livekit-agents reads them; without them LiveKit Inference takes the credentials of a project of LiveKit Cloud."""

PUBLIC_MODULES = (
    "livekit.agents.llm.async_toolset",
    "livekit.agents.voice.report",
    "openrtc.dispatch.sip_rules",
    "openrtc.dispatch.tokens",
    "openrtc.dispatch.waiting",
)
"""What is left to be imported of both until a call uses it, and small."""

RECORDING_VARIABLE = "LIVEKIT_OBSERVABILITY_URL"
"""livekit-agents reads it; without it recordings are uploaded to the project of LiveKit Cloud that sends the calls."""


def preload(runtime: Runtime, resources: Collection[str]) -> None:
    """Import and load what the agents may use, on the calling thread.

    Args:
        runtime: What the calls share.
        resources: Keys of the resources that are there, or will be.
    """
    import_public_names()
    # Where a package has imported it already, there is nothing to save, and its agents are likely to use it.
    openai = "openai" in sys.modules or may_use_inference_llm(runtime, os.environ)
    if openai:
        import_now(INFERENCE_LLM)
    if may_upload_recordings(runtime.config.worker.url, os.environ):
        import_now(UPLOADS)
    warm_up(end_of_turn=needs_end_of_turn(runtime, resources), openai=openai)


def import_public_names() -> None:
    """Import what agents may use of OpenRTC and livekit-agents in their calls, and no start needs.

    After an upgrade of these under the worker it could not be imported any more.
    """
    for name in PUBLIC_MODULES:
        with contextlib.suppress(ImportError):  # of another livekit-agents, or what this machine lacks
            importlib.import_module(name)


def needs_end_of_turn(runtime: Runtime, resources: Collection[str]) -> bool:
    """Whether a ready agent may use livekit-agents' end-of-turn model, as it does where nothing else is said.

    Args:
        runtime: What the calls share.
        resources: Keys of the resources that are there.
    """
    defaults = runtime.config.defaults
    if defaults.offline:
        return False
    elsewhere = "turn_detection" in resources or defaults.turn_detection is not None
    specs = [_find_listener(runtime, name) for name in runtime.catalog.ready]
    return any(_uses_end_of_turn(spec, elsewhere=elsewhere) for spec in specs if spec is not None)


def may_use_inference_llm(runtime: Runtime, environ: Mapping[str, str]) -> bool:
    """Whether an agent may use the SDK of OpenAI, through which livekit-agents speaks to LiveKit Inference.

    It may on LiveKit Cloud, with credentials of its own, or where a language model is given as a string.

    Args:
        runtime: What the calls share.
        environ: Environment variables.
    """
    if is_cloud(runtime.config.worker.url) or any(environ.get(name) for name in INFERENCE_VARIABLES):
        return True
    if any(lack.kind == "cloud" for name in runtime.catalog.ready for lack in runtime.find_lacks(name)):
        return True  # its source names one: the session is built before it is refused
    return any(isinstance(model, str) and "/" in model for model in _list_language_models(runtime))


def may_upload_recordings(url: str, environ: Mapping[str, str]) -> bool:
    """Whether livekit-agents uploads what a session records.

    Args:
        url: Address of the LiveKit server.
        environ: Environment variables.
    """
    return bool(environ.get(RECORDING_VARIABLE)) or is_cloud(url)


def _find_listener(runtime: Runtime, name: str) -> AgentSpec | None:
    """Return the spec that decides about turns: the agent's own, or that of the ear of a cast."""
    spec = runtime.catalog.get(name).spec
    if spec is None or spec.cast is None:
        return spec
    ear = next(member for member in spec.cast.members if member.role == spec.cast.ear)
    return ear.spec or runtime.catalog.get(str(ear.agent)).spec


def _uses_end_of_turn(spec: AgentSpec, *, elsewhere: bool) -> bool:
    turn: Any = spec.fixed_session_options.get("turn_handling") or {}
    own = spec.turn_detection if spec.turn_detection is not None else turn.get("turn_detection")
    # The words are "vad", "stt", "manual" and "realtime_llm"; an object may be or hold the model.
    return not elsewhere if own is None else not isinstance(own, str)


def _list_language_models(runtime: Runtime) -> Iterator[Any]:
    yield runtime.config.defaults.llm
    for name in runtime.catalog.ready:
        spec = runtime.catalog.get(name).spec
        members = spec.cast.members if spec and spec.cast else ()
        for one in (spec, *(member.spec for member in members)):
            if one is not None:
                yield from (one.llm, one.fixed_session_options.get("llm"))
