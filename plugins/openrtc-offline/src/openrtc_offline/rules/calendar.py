"""Days and times of day as callers say them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time, timedelta

from openrtc_offline.numerals import VALUES

WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
HOUR = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[01]?\d|2[0-3])"
MINUTES = r"(?:fifteen|twenty(?: five)?|thirty(?: five)?|forty(?: five)?|fifty(?: five)?|ten|oh five|[0-5]\d)"
HALF = r"(?:a ?m|p ?m|in the (?:morning|afternoon|evening)|at night)"
CLOCK = re.compile(
    rf"\b(?P<before>half past |quarter past |quarter to )?(?P<hour>{HOUR})(?:[ :](?P<minutes>{MINUTES}))?"
    rf"(?P<oclock> o'?clock)?(?: (?P<half>{HALF}))?\b"
)
NAMED_TIMES = {"noon": time(12), "midday": time(12), "midnight": time(0)}


@dataclass(frozen=True, slots=True)
class SpokenDate:
    """A day or time in a sentence.

    Args:
        words: As it was said.
        value: What it means.
    """

    words: str
    value: date | time


def find_day(text: str, today: date) -> SpokenDate | None:
    """Return the first day that is named in ``text``, the next one of its kind from ``today`` on."""
    for pattern, reckon in _DAYS:
        if match := re.search(pattern, text):
            value = reckon(match, today)
            if value is not None:
                return SpokenDate(match.group().strip(), value)
    return None


def find_time(text: str, *, bare: bool = False) -> SpokenDate | None:
    """Return the first time of day in ``text``.

    Args:
        text: Lower-case words.
        bare: Whether a number alone is an hour, as in the answer to "what time?".
    """
    for word, value in NAMED_TIMES.items():
        if re.search(rf"\b{word}\b", text):
            return SpokenDate(word, value)
    for match in CLOCK.finditer(text):
        sure = match["before"] or match["minutes"] or match["oclock"] or match["half"] or bare
        if sure or re.search(r"\b(?:at|around|by|before|after|until) $", text[: match.start()]):
            return SpokenDate(match.group().strip(), _read_clock(match))
    return None


def _read_clock(match: re.Match[str]) -> time:
    hour = _read_number(match["hour"]) % 24
    minutes = _read_number(match["minutes"] or "0")
    before, half = match["before"] or "", (match["half"] or "").replace(" ", "")
    if half in ("pm", "intheafternoon", "intheevening", "atnight") and hour < 12:
        hour += 12
    if half in ("am", "inthemorning") and hour == 12:
        hour = 0
    if before.startswith("half"):
        minutes = 30
    elif before:
        hour, minutes = (hour, 15) if "past" in before else ((hour - 1) % 24, 45)
    return time(hour, minutes)


def _read_number(words: str) -> int:
    return int(words) if words.isdigit() else sum(VALUES[word] for word in words.split())


def _find_weekday(match: re.Match[str], today: date) -> date:
    ahead = (WEEKDAYS.index(match["day"]) - today.weekday()) % 7 or 7
    return today + timedelta(days=ahead)


def _find_month_day(match: re.Match[str], today: date) -> date | None:
    day = _read_ordinal(match["number"])
    for year in (today.year, today.year + 1):
        try:
            found = date(year, MONTHS.index(match["month"]) + 1, day)
        except ValueError:
            return None
        if found >= today:
            return found
    return None


def _read_ordinal(words: str) -> int:
    if number := re.match(r"\d+", words):
        return int(number.group())
    return sum(_read_ordinal_word(word) for word in words.split())


def _read_ordinal_word(word: str) -> int:
    return 30 if word == "thirtieth" else ORDINALS.index(word) if word in ORDINALS else VALUES[word]


def _add_days(match: re.Match[str], today: date) -> date:
    days = _read_number(match["count"]) if match["count"] != "a" else 1
    return today + timedelta(days=days * (7 if match["unit"].startswith("week") else 1))


_ONES = "|".join([*ORDINALS[1:], "thirtieth"])
_WORDS = "|".join(list(VALUES)[1:20])
_NUMBER = rf"(?:(?:twenty|thirty) (?:{'|'.join(ORDINALS[1:10])})|{_ONES}|\d{{1,2}}(?:st|nd|rd|th)?|{_WORDS})"
_MONTH = "|".join(MONTHS)
_DAYS = (
    (r"\bday after tomorrow\b", lambda m, today: today + timedelta(days=2)),
    (r"\btomorrow\b", lambda m, today: today + timedelta(days=1)),
    (r"\b(?:today|tonight)\b", lambda m, today: today),
    (r"\b(\d{4})-(\d\d)-(\d\d)\b", lambda m, today: _read_iso_date(m.group())),
    (rf"\b(?P<month>{_MONTH}) (?:the )?(?P<number>{_NUMBER})\b", _find_month_day),
    (rf"\b(?:the )?(?P<number>{_NUMBER}) (?:of )?(?P<month>{_MONTH})\b", _find_month_day),
    (rf"\b(?:next |this |on )?(?P<day>{'|'.join(WEEKDAYS)})\b", _find_weekday),
    (r"\bin (?P<count>a|\d+|one|two|three|four|five|six|seven|ten) (?P<unit>days?|weeks?)\b", _add_days),
    (r"\bnext week\b", lambda m, today: today + timedelta(days=7)),
    (r"\b(?:this|the) weekend\b", lambda m, today: today + timedelta(days=(5 - today.weekday()) % 7)),
)


def _read_iso_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
