"""Days and times of day as callers say them."""

from __future__ import annotations

from datetime import date, time

import pytest

from openrtc_offline.rules.calendar import find_day, find_time

SATURDAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("today please", date(2026, 11, 21)),
        ("tomorrow at seven", date(2026, 11, 22)),
        ("the day after tomorrow", date(2026, 11, 23)),
        ("on friday", date(2026, 11, 27)),
        ("next saturday", date(2026, 11, 28)),
        ("march third", date(2027, 3, 3)),
        ("the twenty first of december", date(2026, 12, 21)),
        ("december 5th", date(2026, 12, 5)),
        ("in two weeks", date(2026, 12, 5)),
        ("2026-12-24", date(2026, 12, 24)),
    ],
)
def test_a_day_is_the_next_one_of_its_kind(said: str, day: date) -> None:
    found = find_day(said, SATURDAY)
    assert found is not None and found.value == day


def test_a_day_that_does_not_exist_is_no_day() -> None:
    assert find_day("february thirtieth", SATURDAY) is None
    assert find_day("one day", SATURDAY) is None


@pytest.mark.parametrize(
    ("said", "clock"),
    [
        ("tomorrow at seven", time(7)),
        ("at half past eight", time(8, 30)),
        ("quarter to nine", time(8, 45)),
        ("seven thirty", time(7, 30)),
        ("three p m", time(15)),
        ("10 am", time(10)),
        ("nine o'clock in the evening", time(21)),
        ("at noon", time(12)),
    ],
)
def test_a_time_is_understood(said: str, clock: time) -> None:
    found = find_time(said)
    assert found is not None and found.value == clock


def test_a_number_alone_is_a_time_only_as_an_answer() -> None:
    assert find_time("four people") is None
    answer = find_time("four", bare=True)
    assert answer is not None and answer.value == time(4)
