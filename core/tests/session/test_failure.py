from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from openrtc.observe import package_code
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallError, Event
from openrtc.observe.words import Words, use_words_in_log
from openrtc.runtime.live_call import LiveCall
from openrtc.session.failure import (
    CallFailed,
    LoopBroken,
    UpstreamErrorFilter,
    find_failing_line,
    report_failure,
    report_unraisable_errors,
)

if TYPE_CHECKING:
    from conftest import Site


class Calls:
    """One running call and what it emitted."""

    def __init__(self) -> None:
        self.emitted: list[Event] = []
        events = EventStream()
        events.subscribe(self.emitted.append)
        self.call = LiveCall(events=events, job_id="J", room="r", agent="a", distribution="d")


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def upstream(calls: Calls) -> Iterator[logging.Logger]:
    logger = logging.getLogger("upstream-of-this-test")
    telling = UpstreamErrorFilter(lambda: calls.call)
    logger.addFilter(telling)
    yield logger
    logger.removeFilter(telling)


def chat() -> None:
    raise KeyError("choices")


def test_an_error_that_upstream_only_logs_is_one_line_and_one_event(
    upstream: logging.Logger, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        chat()
    except KeyError:
        upstream.exception("Error in _llm_inference_task")
        upstream.exception("Error in _pipeline_reply_task")
    (record,) = [record for record in caplog.records if record.name == upstream.name]
    assert record.getMessage().startswith("Error in _llm_inference_task: KeyError: 'choices' at ")
    assert "test_failure.py:" in record.getMessage()
    assert record.exc_info is None
    (event,) = calls.emitted
    assert isinstance(event, CallError)
    assert (event.where, event.error, event.fatal) == ("session", "KeyError: 'choices'", False)
    assert calls.call.errors == 1 and not calls.call.failed


@pytest.mark.parametrize(("mode", "said"), [("none", "KeyError"), ("full", "KeyError: 'choices'")])
def test_the_text_of_a_tools_error_is_in_a_log_with_words_alone(
    upstream: logging.Logger, calls: Calls, caplog: pytest.LogCaptureFixture, mode: str, said: str
) -> None:
    caplog.set_level("DEBUG")
    use_words_in_log(Words(mode))
    try:
        chat()
    except KeyError:
        upstream.exception("exception occurred while executing tool")
    use_words_in_log(Words())
    (record,) = [record for record in caplog.records if record.name == upstream.name]
    assert record.getMessage().startswith(f"exception occurred while executing tool: {said} at ")
    assert ("'choices'" in caplog.text) == (mode == "full")
    (event,) = calls.emitted
    assert isinstance(event, CallError) and event.error == "KeyError: 'choices'", "each sink decides for itself"


def test_a_failed_call_is_not_told_twice(
    upstream: logging.Logger, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        raise CallFailed("agent 'a' failed")
    except CallFailed:
        upstream.exception("unhandled exception while running the job task")
    assert not caplog.records and not calls.emitted


def test_a_line_without_an_error_passes_unchanged(upstream: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    upstream.error("the %s is gone", "server")
    assert [record.getMessage() for record in caplog.records] == ["the server is gone"]


def test_a_failure_ends_the_call_and_says_where(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    try:
        chat()
    except KeyError as error:
        report_failure(calls.call, error, "failed in on_enter")
    (event,) = calls.emitted
    assert isinstance(event, CallError) and event.fatal and "test_failure.py:" in event.place
    assert calls.call.failed
    assert "agent 'a' failed in on_enter: KeyError: 'choices' at " in caplog.text


class Unreadable(Exception):
    """An error of somebody's that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no words")


def test_a_failure_whose_message_cannot_be_read_ends_the_call_all_the_same(calls: Calls) -> None:
    report_failure(calls.call, Unreadable())
    (event,) = calls.emitted
    assert isinstance(event, CallError) and event.fatal
    assert event.error == "Unreadable: its message cannot be read: ValueError"


def test_an_error_that_cannot_be_raised_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Closes:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    report_unraisable_errors()
    Closes(ValueError("no handle"))
    Closes(SystemExit(3))
    Closes(LoopBroken("reported already"))
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [line.partition(" at ")[0].partition(": ")[2] for line in lines] == [
        "ValueError: no handle",
        "SystemExit: 3",
    ]
    assert all(f"{__file__}:" in line and "\n" not in line for line in lines)


def test_the_place_is_the_packages_own_line_and_not_where_a_library_has_failed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(
        "desk",
        files={
            "desk_lib.py": """
                def ask():
                    try:
                        {}["deep"]
                    except KeyError as error:
                        raise RuntimeError("no connection") from error
            """,
            "desk_agent.py": "import desk_lib\ndef tool():\n    desk_lib.ask()",
        },
    )
    monkeypatch.setattr(package_code, "_packages", {"desk_agent": False})
    with pytest.raises(RuntimeError) as raised:
        import_module("desk_agent").tool()
    assert find_failing_line(raised.value).endswith("desk_agent.py:3")
    monkeypatch.setattr(package_code, "_packages", {})
    assert find_failing_line(raised.value).endswith("desk_lib.py:4"), "of what is nobody's, the deepest"
