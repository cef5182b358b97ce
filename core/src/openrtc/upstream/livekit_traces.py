"""Lets livekit-agents' spans go to the tracer provider of the call that they are of.

livekit-agents has one tracer, which all its modules share. It is given a class that asks which call the code that
starts a span belongs to. Import this only where all that the part ``traces`` needs is known: the import fails where
the tracer is gone.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from livekit.agents import get_job_context
from livekit.agents.telemetry import tracer, traces
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer, TracerProvider

from openrtc.upstream.call_providers import find_call, find_own_providers, metadata_of_calls, note_provider

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor  # livekit-agents brings it

_originals: dict[str, Callable[..., Any]] = {}


def separate_livekit_traces() -> None:
    """Let each call have the provider that it sets for livekit-agents' spans; done once for the process."""
    tracer.__class__ = _CallTracer
    stamper: Any = traces._MetadataSpanProcessor
    if not _originals:
        _originals.update(note=stamper.__init__, stamp=stamper.on_start)
        stamper.__init__, stamper.on_start = _note_metadata, _stamp_metadata


class _CallTracer(type(tracer)):  # type: ignore[misc]  # livekit-agents gives the class no public name
    """livekit-agents' tracer, which uses the provider of the call whose code starts a span."""

    @property
    def _tracer(self) -> Tracer:
        own = find_own_providers()
        if own is not None and (provider := own.livekit or own.opentelemetry) is not None:
            return own.get_tracer(provider, self._instrumenting_module_name)
        of_process: Tracer = self.__dict__["_tracer"]
        return of_process

    @_tracer.setter
    def _tracer(self, of_process: Tracer) -> None:
        self.__dict__["_tracer"] = of_process

    def set_provider(self, tracer_provider: TracerProvider) -> None:
        context = find_call()
        # What livekit-agents sets for LiveKit Cloud, in the first call that is recorded, is for the process.
        if context is None or _is_set_by_livekit(sys._getframe(1)):
            super().set_provider(tracer_provider)
        else:
            note_provider(context, tracer_provider).livekit = tracer_provider


def _is_set_by_livekit(frame: FrameType) -> bool:
    # `telemetry.set_tracer_provider` has called us: who has called that?
    caller = frame.f_back
    return caller is not None and caller.f_globals.get("__name__") == frame.f_globals.get("__name__")


def _note_metadata(self: SpanProcessor, metadata: dict[str, Any] | None = None) -> None:
    _originals["note"](self, metadata)
    # Of livekit-agents' own, which has none at first, each job's is asked for at each span.
    if metadata and (context := find_call()) is not None:
        metadata_of_calls[self] = weakref.ref(context)


def _stamp_metadata(self: SpanProcessor, span: Span, parent_context: Context | None = None) -> None:
    # Calls that set one provider, a module's, add one of these each: the latest would write on the spans of all.
    given_by = metadata_of_calls.get(self)
    if given_by is None or given_by() is get_job_context(required=False):
        _originals["stamp"](self, span, parent_context)
