"""Each call has the tracer provider that it sets; what is set outside of calls counts for all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import job, telemetry
from livekit.agents.telemetry import set_tracer_provider, tracer, traces
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from openrtc.upstream import call_providers, livekit_traces, opentelemetry_traces
from openrtc.upstream.call_providers import begin_call_traces, forget_call_traces, list_call_providers
from openrtc.upstream.livekit_traces import separate_livekit_traces
from openrtc.upstream.opentelemetry_traces import separate_opentelemetry_traces

AT_IMPORT = trace.get_tracer("of a module")


class Context:
    """As much of a job's context as counts here."""

    def __init__(self, job_id: str, agent: str) -> None:
        self.job = SimpleNamespace(id=job_id, room=SimpleNamespace(sid="RM"), enable_redaction=False)
        self.log_context_fields = {"agent": agent}
        self._telemetry_state = None
        self._redaction_enabled = False
        begin_call_traces(self, agent)  # type: ignore[arg-type]  # it stands for one


class Provider(TracerProvider):
    """A provider whose spans can be looked at."""

    def __init__(self) -> None:
        super().__init__(shutdown_on_exit=False)
        self.exporter = InMemorySpanExporter()
        self.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.exporter.get_finished_spans()]

    def find(self, attribute: str) -> list[Any]:
        return [(span.attributes or {}).get(attribute) for span in self.exporter.get_finished_spans()]


@contextmanager
def running(context: Context) -> Iterator[None]:
    """Run the body as code of a call."""
    token = job._JobContextVar.set(context)  # type: ignore[arg-type]  # it stands for one
    try:
        yield
    finally:
        job._JobContextVar.reset(token)


def start_spans(name: str) -> None:
    """Start and end a span of livekit-agents, one of the agent's, and one of a tracer made at import."""
    with tracer.start_as_current_span(f"{name} livekit"):
        trace.get_tracer("x").start_span(f"{name} own").end()
        AT_IMPORT.start_span(f"{name} module").end()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kind, kept = type(tracer), dict(vars(tracer))
    stamper: Any = traces._MetadataSpanProcessor
    methods, api = (stamper.__init__, stamper.on_start), trace._set_tracer_provider
    for module in (livekit_traces, opentelemetry_traces):
        monkeypatch.setattr(module, "_originals", {})
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())
    monkeypatch.setattr(AT_IMPORT, "_real_tracer", None)
    set_tracer_provider(trace.ProxyTracerProvider())
    separate_livekit_traces()
    assert separate_opentelemetry_traces() is None
    yield
    tracer.__class__ = kind
    vars(tracer).update(kept)
    stamper.__init__, stamper.on_start = methods
    trace._set_tracer_provider = api
    for known in (call_providers._calls, call_providers._agents, call_providers._setters):
        known.clear()


def test_the_provider_that_a_call_sets_gets_its_spans_alone() -> None:
    calls = [(Context(name, "desk"), Provider()) for name in "ab"]
    for context, provider in calls:
        with running(context):
            set_tracer_provider(provider)
    for context, _ in calls:
        with running(context):
            start_spans(context.job.id)
    with running(Context("c", "other")):
        start_spans("c")
    start_spans("nobody's")
    assert [provider.names for _, provider in calls] == [["a livekit"], ["b livekit"]]


def test_so_does_the_provider_that_a_call_gives_to_opentelemetry() -> None:
    calls = [(Context(name, "desk"), Provider()) for name in "ab"]
    for context, provider in calls:
        with running(context):
            trace.set_tracer_provider(provider)
            assert isinstance(trace.get_tracer_provider(), TracerProvider)
    for context, _ in calls:
        with running(context):
            start_spans(context.job.id)
    with running(Context("c", "other")):
        start_spans("c")
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert [provider.names for _, provider in calls] == [[f"{n} own", f"{n} module", f"{n} livekit"] for n in "ab"]


def test_a_decorator_that_is_made_at_import_asks_for_each_call() -> None:
    @AT_IMPORT.start_as_current_span("decorated")
    def work() -> None: ...

    calls = [(Context(name, "desk"), Provider()) for name in "ab"]
    for context, provider in calls:
        with running(context):
            trace.set_tracer_provider(provider)
            work()
    assert [provider.names for _, provider in calls] == [["decorated"], ["decorated"]]


@pytest.mark.parametrize("set_one", [set_tracer_provider, trace.set_tracer_provider])
def test_what_is_set_outside_of_calls_is_for_all_calls(set_one: Callable[[TracerProvider], None]) -> None:
    provider = Provider()
    set_one(provider)
    for name in "ab":
        with running(Context(name, "desk")):
            tracer.start_span(name).end()
    assert provider.names == ["a", "b"]


def test_what_is_set_for_all_when_a_call_had_one_already_is_for_the_others(caplog: pytest.LogCaptureFixture) -> None:
    own, of_all, context = Provider(), Provider(), Context("a", "desk")
    with running(context):
        trace.set_tracer_provider(own)
    trace.set_tracer_provider(of_all)
    with running(context):
        start_spans("a")
    start_spans("nobody's")
    assert (len(own.names), len(of_all.names)) == (3, 3)
    trace.set_tracer_provider(Provider())
    assert caplog.text.count("Overriding of current TracerProvider is not allowed") == 1


def test_a_second_one_in_a_call_is_refused_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    with running(Context("a", "desk")):
        trace.set_tracer_provider(Provider())
        trace.set_tracer_provider(Provider())
    assert "Overriding of current TracerProvider is not allowed" in caplog.text


def test_a_call_does_not_replace_what_was_given_to_opentelemetry_for_all(caplog: pytest.LogCaptureFixture) -> None:
    of_all = Provider()
    trace.set_tracer_provider(of_all)
    with running(Context("a", "desk")):
        trace.set_tracer_provider(Provider())
        start_spans("a")
    assert len(of_all.names) == 3
    assert "Overriding of current TracerProvider is not allowed" in caplog.text


def test_metadata_is_that_of_the_call_also_on_one_provider_of_all() -> None:
    provider, contexts = Provider(), [Context(name, "desk") for name in "ab"]
    for context in contexts:
        with running(context):
            set_tracer_provider(provider, metadata={"session.id": context.job.id})
    for context in contexts:
        with running(context):
            tracer.start_span("s").end()
    assert provider.find("session.id") in (["a", "b"], [None, None]), "before 1.8.3, jobs have none"
    count = len(provider._active_span_processor._span_processors)
    for context in contexts:
        forget_call_traces(context, shared=False)  # type: ignore[arg-type]  # it stands for one
    assert len(provider._active_span_processor._span_processors) == count - 2


def test_what_livekit_sets_for_its_cloud_in_a_call_is_for_the_process() -> None:
    provider = Provider()
    scope = {"set_tracer_provider": telemetry.set_tracer_provider, "__name__": traces.__name__, "provider": provider}
    with running(Context("a", "desk")):
        exec("set_tracer_provider(provider)", scope)
    with running(Context("b", "desk")):
        tracer.start_span("b").end()
    assert provider.names == ["b"]


def test_a_provider_that_a_module_keeps_is_for_the_later_calls_of_its_agent() -> None:
    provider, first = Provider(), Context("a", "desk")
    with running(first):
        set_tracer_provider(provider)
    assert list_call_providers("a") == [provider]
    forget_call_traces(first, shared=True)  # type: ignore[arg-type]  # it stands for one
    for name, agent in (("b", "desk"), ("c", "other")):
        with running(Context(name, agent)):
            tracer.start_span(name).end()
    assert provider.names == ["b"]


def test_a_later_call_that_sets_none_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    first, others = Context("a", "desk"), [Context(name, "desk") for name in "bc"]
    with running(first):
        set_tracer_provider(Provider())
    for context in (first, *others):
        forget_call_traces(context, shared=False)  # type: ignore[arg-type]  # it stands for one
    assert caplog.text.count("agent 'desk' set a tracer provider in an earlier call and none in this one") == 1


def test_a_provider_that_live_calls_share_is_none_of_the_ended_call() -> None:
    provider = Provider()
    contexts = [Context(name, "desk") for name in "ab"]
    for context in contexts:
        with running(context):
            set_tracer_provider(provider)
    assert list_call_providers("a") == []
    forget_call_traces(contexts[0], shared=False)  # type: ignore[arg-type]  # it stands for one
    assert list_call_providers("b") == [provider]


async def test_a_collector_that_does_not_answer_does_not_hold_the_loop() -> None:
    answered = threading.Event()

    class Slow(Provider):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return answered.wait(30)

    slow = Slow()
    with running(Context("a", "desk")):
        set_tracer_provider(slow)
        began = time.monotonic()
        assert slow.force_flush() is False
        assert time.monotonic() - began < 5
    answered.set()
    assert await asyncio.to_thread(slow.force_flush) is True
    assert slow.force_flush() is True


def test_another_opentelemetry_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trace, "_TRACER_PROVIDER")
    assert separate_opentelemetry_traces() == "opentelemetry.trace has changed"
