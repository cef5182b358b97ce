from __future__ import annotations

import logging
import sys

from openrtc.conversation.console_logging import OneLineHandler, ReportedErrors


def record(
    message: str, error: BaseException | None = None, level: int = logging.ERROR, **extra: str
) -> logging.LogRecord:
    made = logging.LogRecord("livekit.agents", level, "agent.py", 1, message, (), None)
    if error is not None:
        made.exc_info = (type(error), error, error.__traceback__)
    vars(made).update(extra)
    return made


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception:
        return sys.exc_info()[1]  # type: ignore[return-value]


def test_a_traceback_becomes_one_line_with_its_place() -> None:
    shown: list[str] = []
    OneLineHandler(shown.append).emit(record("it broke", raised(ValueError("no\nshelf"))))
    (line,) = shown
    assert line.startswith("error: it broke: ValueError: no shelf at ")
    assert "test_console_logging.py:" in line


def test_the_same_words_are_shown_once() -> None:
    shown: list[str] = []
    handler = OneLineHandler(shown.append)
    for _ in range(3):
        handler.emit(record("the same", level=logging.WARNING))
    assert shown == ["warning: the same"]


def test_measurements_of_a_busy_machine_are_left_out() -> None:
    shown: list[str] = []
    OneLineHandler(shown.append).emit(record("event loop blocked for 120ms", level=logging.WARNING))
    assert shown == []


def test_what_a_tool_raised_is_kept_for_the_conversation_and_not_logged() -> None:
    errors = ReportedErrors()
    error = raised(ValueError("the shelf is empty"))
    assert not errors.filter(record("exception occurred while executing tool", error, function="shelf"))
    said = errors.describe_tool_error("shelf", "the shelf is empty")
    assert said.startswith("ValueError: the shelf is empty at ")
    assert errors.describe_tool_error("shelf", "the shelf is empty") == "the shelf is empty"


def test_an_error_that_was_told_is_not_logged_again() -> None:
    errors = ReportedErrors()
    told, other = raised(ValueError("told")), raised(ValueError("told"))
    errors.add(told)
    assert not errors.filter(record("Error in task", told))
    assert errors.filter(record("Error in task", other))
    assert errors.filter(record("no error at all"))


def test_errors_that_need_not_be_hidden_are_remembered_all_the_same() -> None:
    errors = ReportedErrors(hide=False)
    error = raised(ValueError("the shelf is empty"))
    assert errors.filter(record("exception occurred while executing tool", error, function="shelf"))
    assert errors.describe_tool_error("shelf", "the shelf is empty").startswith("ValueError: the shelf is empty at ")
