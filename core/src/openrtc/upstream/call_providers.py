"""Knows which tracer providers each call has set, where livekit-agents and OpenTelemetry have one for the process.

livekit's example for Langfuse sets one at the start of each job. In a process of its own that is right; here the latest
call's would get the spans of all, with its own ``session.id``. What is set outside of calls (by a module when it is
imported, by a plugin or resource at the start, by ``opentelemetry-instrument``) counts for all calls, as ever.

`openrtc.upstream.livekit_traces` and `openrtc.upstream.opentelemetry_traces` ask here.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livekit.agents import JobContext, get_job_context
from opentelemetry.trace import Tracer, TracerProvider

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor  # livekit-agents brings it

logger = logging.getLogger("openrtc.worker")

FLUSH_HERE_SECONDS = 0.1
"""How long the loop waits for spans to be exported: what is spoken goes on for 0.2 s by itself."""


@dataclass(slots=True)
class CallProviders:
    """The providers that a call has set.

    Args:
        livekit: For livekit-agents' own spans.
        opentelemetry: For those of the agent's code, and for livekit-agents' where it has no other.
        tracers: Their tracers by the arguments that they were asked for with: spans are many.
    """

    livekit: TracerProvider | None = None
    opentelemetry: TracerProvider | None = None
    tracers: dict[tuple[Any, ...], Tracer] = field(default_factory=dict)

    def list_all(self) -> list[TracerProvider]:
        """Return the providers, each once."""
        return list({id(one): one for one in (self.livekit, self.opentelemetry) if one is not None}.values())

    def get_tracer(self, provider: TracerProvider, *arguments: Any) -> Tracer:
        """Return a tracer of one of these providers.

        Args:
            provider: The provider.
            *arguments: Those of its ``get_tracer``, all hashable.
        """
        key = (id(provider), *arguments)
        if key not in self.tracers:
            self.tracers[key] = provider.get_tracer(*arguments)
        return self.tracers[key]


_calls: weakref.WeakKeyDictionary[JobContext, CallProviders] = weakref.WeakKeyDictionary()
"""Of the calls that have set one."""
_names: weakref.WeakKeyDictionary[JobContext, str] = weakref.WeakKeyDictionary()
"""Of all calls, the names of their agents."""
_agents: dict[str, CallProviders] = {}
"""Of the agents that set one in their first call only, and keep it in a module: it is for their later calls as well."""
metadata_of_calls: weakref.WeakKeyDictionary[SpanProcessor, weakref.ref[JobContext]] = weakref.WeakKeyDictionary()
"""Of the processors that write the metadata of ``set_tracer_provider`` on spans, the calls that have given it."""
_setters: set[str] = set()
"""Names of the agents that have set one in some call."""


def begin_call_traces(context: JobContext, agent: str) -> None:
    """Note which agent a call is of; what it sets counts for this call from then on."""
    _names[context] = agent


def find_call() -> JobContext | None:
    """Return the context of the call whose code runs now, None outside of calls."""
    context = get_job_context(required=False)
    return context if context in _names else None


def find_own_providers() -> CallProviders | None:
    """Return what counts in the call whose code runs now, if it has set something."""
    if not (_calls or _agents):  # each span asks
        return None
    context = get_job_context(required=False)
    if context is None:
        return None
    return _calls.get(context) or _agents.get(_names.get(context, ""))


def note_provider(context: JobContext, provider: TracerProvider) -> CallProviders:
    """Return the providers of a call that sets this one, for it to be put there."""
    agent = _names[context]
    _setters.add(agent)
    if agent in _agents and provider not in _agents[agent].list_all():
        del _agents[agent]  # it sets one for each call after all
    _flush_beside_loop(provider)
    return _calls.setdefault(context, CallProviders())


def list_call_providers(job_id: str) -> list[TracerProvider]:
    """Return the tracer providers that a call has set; none of another live call is among them.

    Args:
        job_id: LiveKit's id of the job.
    """
    own: list[TracerProvider] = []
    others: list[TracerProvider] = []
    for context, providers in list(_calls.items()):
        (own if context.job.id == job_id else others).extend(providers.list_all())
    return [one for one in own if not any(one is other for other in others)]


def forget_call_traces(context: JobContext, *, shared: bool) -> None:
    """Forget the tracer providers of a call that is over.

    Args:
        context: The context of its job.
        shared: Whether a module keeps one of them: then they are for the agent's later calls that set none.
    """
    agent, found = _names.get(context, ""), _calls.pop(context, None)
    if found is None:
        if agent in _setters and agent not in _agents:
            _setters.discard(agent)  # told once
            text = (
                "agent %r set a tracer provider in an earlier call and none in this one: it counts for the call that "
                "sets it (set it in each call, or once for all when the module is imported)"
            )
            logger.warning(text, agent, extra={"job_id": context.job.id} | context.log_context_fields)
        return
    for provider in found.list_all():
        _take_metadata_off(provider, context)
    if shared:
        _agents[agent] = found


def _take_metadata_off(provider: TracerProvider, context: JobContext) -> None:
    # Other calls may use the provider as well: with each one it would write more on their spans.
    every: Any = getattr(provider, "_active_span_processor", None)
    present = getattr(every, "_span_processors", None)
    if isinstance(present, tuple):
        of_call = {one for one in present if one in metadata_of_calls and metadata_of_calls[one]() is context}
        every._span_processors = tuple(one for one in present if one not in of_call)


def _flush_beside_loop(provider: TracerProvider) -> None:
    """Let a provider wait for its collector in a thread where it is told to on the loop, as livekit's example does.

    All calls would be silent meanwhile: for 5 s and more where there is no collector.
    """
    own: dict[str, Any] | None = getattr(provider, "__dict__", None)
    if own is None:
        return
    for name in ("force_flush", "shutdown"):
        # On this one object, and once: a module's provider is set by each call.
        if name not in own and (method := getattr(provider, name, None)) is not None:
            setattr(provider, name, functools.partial(_run_beside_loop, method))


def _run_beside_loop(method: Callable[..., Any], *args: Any, **options: Any) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return method(*args, **options)
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(method(*args, **options)), daemon=True)
    thread.start()
    thread.join(FLUSH_HERE_SECONDS)
    return result[0] if result else False  # as of a flush that has not ended in time
