"""`Provider`: speech and language models named by a scheme, such as ``offline:``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderContext:
    """Whom a model is built for.

    Args:
        agent_name: Name of the agent.
        agent: The ``livekit.agents.Agent`` instance of this session, with its tools.
        examples: Sentences that a caller may say, from the agent's `AgentSpec`.
    """

    agent_name: str
    agent: Any
    examples: tuple[str, ...] = ()


@runtime_checkable
class Provider(Protocol):
    """Builds the models whose strings start with this provider's scheme; ``model`` is what follows the colon.

    A provider may also have a method ``prewarm()``, which imports or starts what the first call would otherwise wait
    for; the worker calls it before it accepts jobs, where its scheme is in use.

    It may also have ``missing(kind)``, which takes ``stt``, ``llm`` or ``tts`` and returns None when models of that
    kind can be built here, else why not, in one line. One without it builds all kinds wherever it is available.

    A model is built for each session. A kind that the provider does not have raises `OpenRTCError`.
    """

    def available(self) -> str | None:
        """Return None when the provider can build anything here, else why not, in one line."""

    def stt(self, model: str, context: ProviderContext) -> Any:
        """Return a ``livekit.agents.stt.STT``."""

    def llm(self, model: str, context: ProviderContext) -> Any:
        """Return a ``livekit.agents.llm.LLM``."""

    def tts(self, model: str, context: ProviderContext) -> Any:
        """Return a ``livekit.agents.tts.TTS``."""
