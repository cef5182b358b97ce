"""Fills the arguments of a tool from what was said."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from openrtc_offline.numerals import MULTIPLIERS, VALUES, find_codes, find_quantities
from openrtc_offline.rules.calendar import CLOCK, SpokenDate, find_day, find_time
from openrtc_offline.rules.intent import MOST_WORDS
from openrtc_offline.rules.words import STOP_WORDS, compare_stems, find_stems, split_words, stem
from openrtc_offline.toolbox import Parameter, ToolView

CODE_NAMES = set("number id code pin digits reference phone zip zipcode postcode iban ssn".split())
DAY_NAMES = {"day", "date", "weekday", "when", "birthday", "deadline"}
TIME_NAMES = {"time", "hour", "clock"}
WHOLE_NAMES = set(
    "message question text query request problem issue note comment topic description reason feedback search content "
    "term keyword keywords".split()
)
PERSON_NAMES = {"name", "person", "recipient", "contact", "guest", "patient", "customer", "somebody"}
MARKERS = {
    "from": {"origin", "source", "departure", "start", "sender"},
    "to": {"destination", "recipient", "target", "arrival", "person", "contact"},
    "in|near|at|for|around|to|from": {"city", "place", "location", "town", "country", "region", "area", "address"},
}
ANSWER_LEADS = re.compile(
    r"^(?:(?:yes|yeah|sure|okay|well|um|uh|it is|it's|it would be|that is|that's|that would be|make it|i think|i want|"
    r"i would like|i'd like|please|my name is|i am|i'm|this is|for|at|on|in|to|from|about|the|my|is|number|"
    r"(?:my|the)(?: \w+){1,3} is)\s+)+"
)
YES = {"yes", "yeah", "yep", "sure", "correct", "right", "true", "okay", "ok", "definitely", "absolutely", "please"}
NO = {"no", "nope", "not", "false", "without", "never", "don't"}


def fill_arguments(tool: ToolView, text: str, today: date) -> dict[str, Any]:
    """Return the arguments of ``tool`` that ``text`` gives; the others are left out."""
    reader = _SentenceReader(text, tool, today)
    values = {p.name: reader.read(p) for p in sorted(tool.parameters, key=_rank_parameter)}
    return {p.name: values[p.name] for p in tool.parameters if values[p.name] is not None}


def read_answer(parameter: Parameter, text: str, tool: ToolView, today: date) -> Any:
    """Return the value that ``text`` gives as the answer to a question for ``parameter``, None when it gives none."""
    reader = _SentenceReader(text, tool, today, answering=parameter)
    return reader.read(parameter)


def _rank_parameter(parameter: Parameter) -> int:
    """Days and times first: their numbers are not amounts."""
    return 0 if _is_time(parameter) or _is_day(parameter) else 1 if parameter.choices else 2


def _split_name(parameter: Parameter) -> set[str]:
    return set(parameter.spoken_name.split())


def _is_day(parameter: Parameter) -> bool:
    return parameter.kind == "string" and (parameter.format == "date" or bool(_split_name(parameter) & DAY_NAMES))


def _is_time(parameter: Parameter) -> bool:
    return parameter.kind == "string" and (parameter.format == "time" or bool(_split_name(parameter) & TIME_NAMES))


def _is_code(parameter: Parameter) -> bool:
    described = f"{parameter.spoken_name} {parameter.description}".lower()
    return bool(_split_name(parameter) & CODE_NAMES) or bool(re.search(r"\b(?:number|digits?|code)\b", described))


class _SentenceReader:
    """Reads the arguments of one tool from one sentence; a number is used once."""

    def __init__(self, text: str, tool: ToolView, today: date, answering: Parameter | None = None) -> None:
        self._words = split_words(text)
        self._text = " ".join(self._words)
        self._tool = tool
        self._today = today
        self._answering = answering is not None
        self._day = find_day(self._text, today)
        hours = answering is not None and (_is_time(answering) or answering.format == "date-time")
        wants_time = any(_is_time(p) or p.format == "date-time" for p in tool.parameters)
        self._time = find_time(self._text, bare=hours) if wants_time else None
        self._numbers = find_quantities(self._remove_dates(self._day, self._time))

    def read(self, parameter: Parameter) -> Any:
        if parameter.choices:
            return self._read_choice(parameter)
        if parameter.kind == "array":
            found = (
                self._read_amount(parameter, float) if parameter.format == "number" else self._read_string(parameter)
            )
            return None if found is None else [found]
        readers: dict[str, Callable[[], Any]] = {
            "integer": lambda: self._read_integer(parameter),
            "number": lambda: self._read_amount(parameter, float),
            "boolean": lambda: self._read_boolean(parameter),
            "string": lambda: self._read_string(parameter),
        }
        reader = readers.get(parameter.kind)
        return reader() if reader else None

    def _remove_dates(self, *said: SpokenDate | None) -> list[str]:
        text = self._text
        for part in said:
            if part is not None:
                text = text.replace(part.words, " . ", 1)
        return re.findall(r"[a-z']+|\d+(?:\.\d+)?|\.", text)

    def _read_choice(self, parameter: Parameter) -> Any:
        heard = list(dict.fromkeys(stem(word) for word in self._words))[:MOST_WORDS]
        scored = [(self._compare_choice(str(choice), heard), choice) for choice in parameter.choices]
        best, choice = max(scored, key=lambda pair: pair[0])
        return choice if best > 0.55 else None

    @staticmethod
    def _compare_choice(choice: str, heard: list[str]) -> float:
        wanted = [stem(word) for word in split_words(choice)]
        if not wanted:
            return 0.0
        return sum(max((compare_stems(h, w) for h in heard), default=0.0) for w in wanted) / len(wanted)

    def _read_integer(self, parameter: Parameter) -> int | None:
        if _split_name(parameter) & CODE_NAMES and (digits := self._read_code(parameter)):
            return int(digits)
        amount: int | None = self._read_amount(parameter, int)
        return amount

    def _read_amount(self, parameter: Parameter, kind: Callable[[float], Any]) -> Any:
        if not self._numbers:
            return None
        words = self._remove_dates(self._day, self._time)
        names = {stem(word) for word in f"{parameter.spoken_name} {parameter.description}".lower().split()}
        near = [run for run in self._numbers if self._find_neighbours(run, words) & (names - {"number"})]
        run = (near or self._numbers)[0]
        if not near and self._is_claimed(run, words, parameter):
            return None
        self._numbers.remove(run)
        return kind(run[2])

    def _is_claimed(self, run: tuple[int, int, float], words: list[str], parameter: Parameter) -> bool:
        others = (p for p in self._tool.parameters if p is not parameter and p.kind in ("integer", "number"))
        return any(self._find_neighbours(run, words) & {stem(w) for w in p.spoken_name.split()} for p in others)

    @staticmethod
    def _find_neighbours(run: tuple[int, int, float], words: list[str]) -> set[str]:
        start, end, _ = run
        return {
            stem(word) for word in words[max(0, start - 2) : start] + words[end : end + 2] if word not in STOP_WORDS
        }

    def _read_boolean(self, parameter: Parameter) -> bool | None:
        if self._answering:
            return False if NO & set(self._words) else True if YES & set(self._words) else None
        named = [
            i for i, w in enumerate(self._words) if stem(w) in {stem(x) for x in _split_name(parameter) - STOP_WORDS}
        ]
        if not named:
            return None
        return not NO & set(self._words[max(0, named[0] - 3) : named[0]])

    def _read_string(self, parameter: Parameter) -> str | None:
        if parameter.format == "date-time":
            return self._read_datetime()
        if _is_day(parameter):
            return self._format_date(self._day, parameter, iso=parameter.format == "date")
        if _is_time(parameter):
            return self._format_date(self._time, parameter, iso=parameter.format == "time")
        if _is_code(parameter):
            return self._read_code(parameter) or self._read_plain_answer()
        if self._answering:
            return self._read_plain_answer()
        return self._read_phrase(parameter)

    def _read_datetime(self) -> str | None:
        if self._day is None and self._time is None:
            return None
        day = self._day.value if self._day else self._today
        clock = self._time.value if self._time else datetime.min.time()
        # The value of a `SpokenDate` is a date or a time; `_day` has the one and `_time` the other.
        return datetime.combine(day, clock).isoformat()  # type: ignore[arg-type]

    def _format_date(self, said: SpokenDate | None, parameter: Parameter, *, iso: bool) -> str | None:
        if said is None:
            return self._read_plain_answer() if self._answering else None
        if iso or re.search(r"iso|yyyy|hh:mm|24|format", parameter.description.lower()):
            value = said.value
            return value.isoformat() if isinstance(value, date) else value.strftime("%H:%M")
        return re.sub(r"^(?:on|this) ", "", said.words)

    def _read_code(self, parameter: Parameter) -> str | None:
        words = self._remove_dates(self._day, self._time if self._time and not _is_bare_hour(self._time) else None)
        runs = [
            run for run in find_codes(words) if len(run[2]) > 1 or self._answering or self._is_announced(run, words)
        ]
        if not runs:
            return None
        names = {stem(word) for word in parameter.spoken_name.split()}
        announced = [run for run in runs if self._find_neighbours((run[0], run[1], 0.0), words) & names]
        chosen = max(announced or runs, key=lambda run: len(run[2]))
        self._numbers = [run for run in self._numbers if run[1] <= chosen[0] or run[0] >= chosen[1]]
        return chosen[2]

    def _is_announced(self, run: tuple[int, int, str], words: list[str]) -> bool:
        names = {stem(w) for p in self._tool.parameters for w in p.spoken_name.split()} | {"number", "cod"}
        return bool(self._find_neighbours((run[0], run[1], 0.0), words) & names)

    def _read_plain_answer(self) -> str | None:
        if not self._answering:
            return None
        rest = re.sub(r"\s+please$", "", ANSWER_LEADS.sub("", f"{self._text} ").strip())
        return rest or None

    def _read_phrase(self, parameter: Parameter) -> str | None:
        names = _split_name(parameter)
        if names & PERSON_NAMES and (found := self._find_after(r"my name is|name is|named|called|this is|i am|i'm")):
            return found
        if found := self._find_after(rf"{re.escape(parameter.spoken_name)}(?: is| of| should be)"):
            return found
        for links, kinds in MARKERS.items():
            if names & kinds and (found := self._find_after(links)):
                return found
        if names & WHOLE_NAMES:
            return self._read_rest(parameter)
        return self._find_after("for|about|called|named|of|on|to|in|with")

    def _find_after(self, links: str) -> str | None:
        known = set(find_stems(f"{self._tool.spoken_name} {self._tool.description}"))
        for match in re.finditer(rf"\b(?:{links})\s+", self._text):
            phrase = self._take_phrase(self._text[match.end() :].split(), known)
            if phrase:
                return phrase
        return None

    def _take_phrase(self, words: list[str], known: set[str]) -> str | None:
        while words and words[0] in ("the", "a", "an", "my", "your", "some"):
            words = words[1:]
        taken: list[str] = []
        for word in words:
            if (
                word in STOP_WORDS
                or self._is_date_word(word)
                or word in VALUES
                or word in MULTIPLIERS
                or stem(word) in known
            ):
                break
            taken.append(word)
        return " ".join(taken[:4]) or None

    def _is_date_word(self, word: str) -> bool:
        said = " ".join(part.words for part in (self._day, self._time) if part)
        return word in said.split()

    def _read_rest(self, parameter: Parameter) -> str | None:
        if found := self._find_after("for|about|that|on|of|with|regarding|saying"):
            rest = self._text[self._text.index(found) :]
            for said in (self._day, self._time):
                rest = rest.partition(said.words)[0] if said else rest
            return re.sub(r"\s+(?:please|on|at|for|in|by)$", "", rest.strip())
        known = set(find_stems(f"{self._tool.spoken_name} {self._tool.description}"))
        kept = [word for word in self._words if word not in STOP_WORDS and stem(word) not in known]
        return " ".join(kept) or (self._text if parameter.required and self._words else None)


def _is_bare_hour(said: SpokenDate) -> bool:
    match = CLOCK.fullmatch(said.words)
    return match is not None and not (match["oclock"] or match["half"] or match["before"])
