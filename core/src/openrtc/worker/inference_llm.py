"""Which workers may use livekit-agents' `inference.LLM`, which needs the SDK of OpenAI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from livekit.agents.utils.misc import is_cloud

from openrtc.worker.runtime import Runtime

VARIABLES = ("LIVEKIT_INFERENCE_URL", "LIVEKIT_INFERENCE_API_KEY")
"""livekit-agents reads them; without them LiveKit Inference takes the credentials of a project of LiveKit Cloud."""


def may_use_inference_llm(runtime: Runtime, environ: Mapping[str, str]) -> bool:
    """Whether an agent may use it: on LiveKit Cloud, with credentials of its own, or where a model is a string.

    Args:
        runtime: What the calls share.
        environ: Environment variables.
    """
    if is_cloud(runtime.config.worker.url) or any(environ.get(name) for name in VARIABLES):
        return True
    return any(isinstance(model, str) and "/" in model for model in _language_models(runtime))


def _language_models(runtime: Runtime) -> Iterator[Any]:
    yield runtime.config.defaults.llm
    for name in runtime.catalog.ready:
        spec = runtime.catalog.get(name).spec
        if spec is None:
            continue
        yield from (spec.llm, spec.session_options.get("llm"))
        for member in spec.cast.members if spec.cast else ():
            if member.spec:
                yield from (member.spec.llm, member.spec.session_options.get("llm"))
