"""Turns what is wrong with an agent into a failed test of one line, without a traceback into OpenRTC."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError


@contextlib.contextmanager
def fail_in_one_line(kind: type[OpenRTCError] = OpenRTCError, test: Path | None = None) -> Iterator[None]:
    """Let the test fail with the line of an error that the body raises.

    Args:
        kind: Which errors; others pass.
        test: The file of the test: the line in it is told where the error came from there.
    """
    try:
        yield
    except kind as error:
        place = _find_line(error, test) if test else ""
        raise pytest.fail.Exception(f"{error}{f' [{place}]' if place else ''}", pytrace=False) from None


def _find_line(error: BaseException, test: Path) -> str:
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if Path(frame.f_code.co_filename) == test]
    return f"{test.name}:{lines[-1]}" if lines else ""
