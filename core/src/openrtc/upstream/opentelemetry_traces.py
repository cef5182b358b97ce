"""Lets the spans of an agent's code go to the tracer provider that its call has given to OpenTelemetry's API.

The API keeps one provider, which can be set once in a process. The first call that sets one has that replaced by one
that asks which call the code that starts a span belongs to; nothing changes where none does. livekit-agents' spans go
there as well, unless it was given another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, ProxyTracer, ProxyTracerProvider, Tracer, TracerProvider

from openrtc.upstream.call_providers import find_call, find_own_providers, note_provider

_api: Any = trace
_NO_TRACER = NoOpTracer()
_originals: dict[str, Callable[..., None]] = {}


def separate_opentelemetry_traces() -> str | None:
    """Let each call have the provider that it gives to OpenTelemetry's API; done once for the process.

    Returns:
        In half a line what is not as OpenRTC knows it, so that this cannot be; None where it is done.
    """
    if not _is_known():
        return "opentelemetry.trace has changed"
    _api.get_tracer_provider()  # one that the environment names is loaded now, not in a call
    if not _originals:
        _originals["set"], _api._set_tracer_provider = _api._set_tracer_provider, _set_provider
    return None


def _is_known() -> bool:
    """Whether OpenTelemetry still does what is done here with the names that it keeps for itself."""
    setting = getattr(_api.set_tracer_provider, "__code__", None)
    starting = getattr(ProxyTracer.start_span, "__code__", None)
    return (
        hasattr(_api, "_TRACER_PROVIDER")
        and hasattr(_api, "_set_tracer_provider")
        and "_set_tracer_provider" in getattr(setting, "co_names", ())
        and "_tracer" in getattr(starting, "co_names", ())
    )


def _set_provider(tracer_provider: TracerProvider, log: bool) -> None:
    """Stand in for what ``opentelemetry.trace.set_tracer_provider`` calls; ``log`` is False for the environment's."""
    context, present = find_call(), _api._TRACER_PROVIDER
    of_calls = present if type(present) is _ProviderOfCalls else None
    if context is None or not log:
        if of_calls is None:
            _originals["set"](tracer_provider, log)
        elif of_calls.of_process is None:
            of_calls.of_process = tracer_provider
        else:
            _refuse()
        return
    own = find_own_providers()
    if (present is not None and of_calls is None) or (own is not None and own.opentelemetry is not None):
        _refuse()  # one is set for all calls, or for this one: it can be set once
        return
    if of_calls is None:
        _api._TRACER_PROVIDER = _ProviderOfCalls()
    note_provider(context, tracer_provider).opentelemetry = tracer_provider


def _refuse() -> None:
    # In OpenTelemetry's own words, which say it wherever one is set twice.
    logging.getLogger("opentelemetry.trace").warning("Overriding of current TracerProvider is not allowed")


class _ProviderOfCalls(TracerProvider):
    """Stands where OpenTelemetry keeps its one provider, for that of the call whose code runs now.

    ``of_process`` is the one that was set outside of calls, if any.
    """

    def __init__(self) -> None:
        self.of_process: TracerProvider | None = None

    def get_tracer(self, *arguments: Any, **options: Any) -> Tracer:
        """Return a tracer that asks for the call each time a span is started."""
        return _TracerOfCalls(self, *arguments, **options)

    def find(self) -> TracerProvider:
        """Return the provider that counts now; one that does nothing where none does."""
        own = find_own_providers()
        return (own.opentelemetry if own else None) or self.of_process or _NO_PROVIDER

    # `isinstance` and attributes such as `add_span_processor` and `force_flush` are those of the provider that counts.
    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return type(object.__getattribute__(self, "find")())
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.find(), name)


_NO_PROVIDER = ProxyTracerProvider()
"""What OpenTelemetry's API returns where none was set."""


class _TracerOfCalls(ProxyTracer):
    """A tracer of `_ProviderOfCalls`."""

    def __init__(self, provider: _ProviderOfCalls, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._provider = provider
        self._of_process: Tracer | None = None

    @property
    def _tracer(self) -> Tracer:
        arguments = (self._instrumenting_module_name, self._instrumenting_library_version, self._schema_url)
        own = find_own_providers()
        if own is not None and own.opentelemetry is not None:
            if self._attributes:  # a mapping, which is no key
                return own.opentelemetry.get_tracer(*arguments, self._attributes)
            return own.get_tracer(own.opentelemetry, *arguments)
        if self._of_process is None and self._provider.of_process is not None:
            self._of_process = self._provider.of_process.get_tracer(*arguments, self._attributes)
        return self._of_process or _NO_TRACER
