"""Fills the arguments of a tool from what was said."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from openrtc_offline.numerals import MULTIPLIERS, VALUES, digit_strings, quantities
from openrtc_offline.rules.calendar import CLOCK, Said, find_day, find_time
from openrtc_offline.rules.words import STOP_WORDS, closeness, content, stem, tokens
from openrtc_offline.toolbox import Parameter, ToolView

CODE_NAMES = {
    "number",
    "id",
    "code",
    "pin",
    "digits",
    "reference",
    "phone",
    "zip",
    "zipcode",
    "postcode",
    "iban",
    "ssn",
}
DAY_NAMES = {"day", "date", "weekday", "when", "birthday", "deadline"}
TIME_NAMES = {"time", "hour", "clock"}
WHOLE_NAMES = {"message", "question", "text", "query", "request", "problem", "issue", "note", "comment", "topic"} | {
    "description",
    "reason",
    "feedback",
    "search",
    "content",
    "term",
    "keyword",
    "keywords",
}
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


def fill(tool: ToolView, text: str, today: date) -> dict[str, Any]:
    """Return the arguments of ``tool`` that are told in ``text``; what is not said is left out."""
    reader = _Sentence(text, tool, today)
    values = {p.name: reader.value(p) for p in sorted(tool.parameters, key=_precedence)}
    return {p.name: values[p.name] for p in tool.parameters if values[p.name] is not None}


def answer(parameter: Parameter, text: str, tool: ToolView, today: date) -> Any:
    """Return the value that ``text`` gives as the answer to a question for ``parameter``, None when it gives none."""
    reader = _Sentence(text, tool, today, answering=parameter)
    return reader.value(parameter)


def _precedence(parameter: Parameter) -> int:
    """Days and times first: their numbers are not amounts."""
    return 0 if _is_time(parameter) or _is_day(parameter) else 1 if parameter.choices else 2


def _names(parameter: Parameter) -> set[str]:
    return set(parameter.spoken_name.split())


def _is_day(parameter: Parameter) -> bool:
    return parameter.kind == "string" and (parameter.format == "date" or bool(_names(parameter) & DAY_NAMES))


def _is_time(parameter: Parameter) -> bool:
    return parameter.kind == "string" and (parameter.format == "time" or bool(_names(parameter) & TIME_NAMES))


def _is_code(parameter: Parameter) -> bool:
    told = f"{parameter.spoken_name} {parameter.description}".lower()
    return bool(_names(parameter) & CODE_NAMES) or bool(re.search(r"\b(?:number|digits?|code)\b", told))


class _Sentence:
    """One sentence, read for the arguments of one tool; a number is used once."""

    def __init__(self, text: str, tool: ToolView, today: date, answering: Parameter | None = None) -> None:
        self._words = tokens(text)
        self._text = " ".join(self._words)
        self._tool = tool
        self._today = today
        self._answering = answering is not None
        self._day = find_day(self._text, today)
        hours = answering is not None and (_is_time(answering) or answering.format == "date-time")
        wants_time = any(_is_time(p) or p.format == "date-time" for p in tool.parameters)
        self._time = find_time(self._text, bare=hours) if wants_time else None
        self._numbers = quantities(self._without(self._day, self._time))

    def value(self, parameter: Parameter) -> Any:
        if parameter.choices:
            return self._choice(parameter)
        if parameter.kind == "array":
            found = self._amount(parameter, float) if parameter.format == "number" else self._string(parameter)
            return None if found is None else [found]
        readers: dict[str, Callable[[], Any]] = {
            "integer": lambda: self._integer(parameter),
            "number": lambda: self._amount(parameter, float),
            "boolean": lambda: self._boolean(parameter),
            "string": lambda: self._string(parameter),
        }
        reader = readers.get(parameter.kind)
        return reader() if reader else None

    def _without(self, *said: Said | None) -> list[str]:
        text = self._text
        for part in said:
            if part is not None:
                text = text.replace(part.words, " . ", 1)
        return re.findall(r"[a-z']+|\d+(?:\.\d+)?|\.", text)

    def _choice(self, parameter: Parameter) -> Any:
        heard = [stem(word) for word in self._words]
        scored = [(self._likeness(str(choice), heard), choice) for choice in parameter.choices]
        best, choice = max(scored, key=lambda pair: pair[0])
        return choice if best > 0.55 else None

    @staticmethod
    def _likeness(choice: str, heard: list[str]) -> float:
        wanted = [stem(word) for word in tokens(choice)]
        if not wanted:
            return 0.0
        return sum(max((closeness(h, w) for h in heard), default=0.0) for w in wanted) / len(wanted)

    def _integer(self, parameter: Parameter) -> int | None:
        if _names(parameter) & CODE_NAMES and (digits := self._digits(parameter)):
            return int(digits)
        amount: int | None = self._amount(parameter, int)
        return amount

    def _amount(self, parameter: Parameter, kind: Callable[[float], Any]) -> Any:
        if not self._numbers:
            return None
        words = self._without(self._day, self._time)
        names = {stem(word) for word in f"{parameter.spoken_name} {parameter.description}".lower().split()}
        near = [run for run in self._numbers if self._beside(run, words) & (names - {"number"})]
        run = (near or self._numbers)[0]
        if not near and self._claimed_elsewhere(run, words, parameter):
            return None
        self._numbers.remove(run)
        return kind(run[2])

    def _claimed_elsewhere(self, run: tuple[int, int, float], words: list[str], parameter: Parameter) -> bool:
        others = (p for p in self._tool.parameters if p is not parameter and p.kind in ("integer", "number"))
        return any(self._beside(run, words) & {stem(w) for w in p.spoken_name.split()} for p in others)

    @staticmethod
    def _beside(run: tuple[int, int, float], words: list[str]) -> set[str]:
        start, end, _ = run
        return {
            stem(word) for word in words[max(0, start - 2) : start] + words[end : end + 2] if word not in STOP_WORDS
        }

    def _boolean(self, parameter: Parameter) -> bool | None:
        if self._answering:
            return False if NO & set(self._words) else True if YES & set(self._words) else None
        named = [i for i, w in enumerate(self._words) if stem(w) in {stem(x) for x in _names(parameter) - STOP_WORDS}]
        if not named:
            return None
        return not NO & set(self._words[max(0, named[0] - 3) : named[0]])

    def _string(self, parameter: Parameter) -> str | None:
        if parameter.format == "date-time":
            return self._moment()
        if _is_day(parameter):
            return self._said(self._day, parameter, iso=parameter.format == "date")
        if _is_time(parameter):
            return self._said(self._time, parameter, iso=parameter.format == "time")
        if _is_code(parameter):
            return self._digits(parameter) or self._plain_answer()
        if self._answering:
            return self._plain_answer()
        return self._told(parameter)

    def _moment(self) -> str | None:
        if self._day is None and self._time is None:
            return None
        day = self._day.value if self._day else self._today
        clock = self._time.value if self._time else datetime.min.time()
        return datetime.combine(day, clock).isoformat()  # type: ignore[arg-type]

    def _said(self, said: Said | None, parameter: Parameter, *, iso: bool) -> str | None:
        if said is None:
            return self._plain_answer() if self._answering else None
        told = parameter.description.lower()
        if iso or re.search(r"iso|yyyy|hh:mm|24|format", told):
            value = said.value
            return value.isoformat() if isinstance(value, date) else value.strftime("%H:%M")
        return re.sub(r"^(?:on|this) ", "", said.words)

    def _digits(self, parameter: Parameter) -> str | None:
        words = self._without(self._day, self._time if self._time and not _bare_hour(self._time) else None)
        runs = [
            run for run in digit_strings(words) if len(run[2]) > 1 or self._answering or self._announced(run, words)
        ]
        if not runs:
            return None
        names = {stem(word) for word in parameter.spoken_name.split()}
        announced = [run for run in runs if self._beside((run[0], run[1], 0.0), words) & names]
        chosen = max(announced or runs, key=lambda run: len(run[2]))
        self._numbers = [run for run in self._numbers if run[1] <= chosen[0] or run[0] >= chosen[1]]
        return chosen[2]

    def _announced(self, run: tuple[int, int, str], words: list[str]) -> bool:
        names = {stem(w) for p in self._tool.parameters for w in p.spoken_name.split()} | {"number", "cod"}
        return bool(self._beside((run[0], run[1], 0.0), words) & names)

    def _plain_answer(self) -> str | None:
        if not self._answering:
            return None
        rest = re.sub(r"\s+please$", "", ANSWER_LEADS.sub("", f"{self._text} ").strip())
        return rest or None

    def _told(self, parameter: Parameter) -> str | None:
        names = _names(parameter)
        if names & PERSON_NAMES and (found := self._after(r"my name is|name is|named|called|this is|i am|i'm")):
            return found
        if found := self._after(rf"{re.escape(parameter.spoken_name)}(?: is| of| should be)"):
            return found
        for links, kinds in MARKERS.items():
            if names & kinds and (found := self._after(links)):
                return found
        if names & WHOLE_NAMES:
            return self._rest(parameter)
        return self._after("for|about|called|named|of|on|to|in|with")

    def _after(self, links: str) -> str | None:
        known = set(content(f"{self._tool.spoken_name} {self._tool.description}"))
        for match in re.finditer(rf"\b(?:{links})\s+", self._text):
            phrase = self._phrase(self._text[match.end() :].split(), known)
            if phrase:
                return phrase
        return None

    def _phrase(self, words: list[str], known: set[str]) -> str | None:
        while words and words[0] in ("the", "a", "an", "my", "your", "some"):
            words = words[1:]
        taken: list[str] = []
        for word in words:
            if (
                word in STOP_WORDS
                or self._is_calendar(word)
                or word in VALUES
                or word in MULTIPLIERS
                or stem(word) in known
            ):
                break
            taken.append(word)
        return " ".join(taken[:4]) or None

    def _is_calendar(self, word: str) -> bool:
        said = " ".join(part.words for part in (self._day, self._time) if part)
        return word in said.split()

    def _rest(self, parameter: Parameter) -> str | None:
        if found := self._after("for|about|that|on|of|with|regarding|saying"):
            rest = self._text[self._text.index(found) :]
            for said in (self._day, self._time):
                rest = rest.partition(said.words)[0] if said else rest
            return re.sub(r"\s+(?:please|on|at|for|in|by)$", "", rest.strip())
        known = set(content(f"{self._tool.spoken_name} {self._tool.description}"))
        kept = [word for word in self._words if word not in STOP_WORDS and stem(word) not in known]
        return " ".join(kept) or (self._text if parameter.required and self._words else None)


def _bare_hour(said: Said) -> bool:
    match = CLOCK.fullmatch(said.words)
    return match is not None and not (match["oclock"] or match["half"] or match["before"])
