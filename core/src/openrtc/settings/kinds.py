"""What a setting's value may be: each kind checks a value, decodes one from a string and describes itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from openrtc.errors import OpenRTCError, one_line
from openrtc.model.call_limits import CallLimits
from openrtc.model.names import AGENT_NAME, normalise_name
from openrtc.suggest import did_you_mean

AGENTS, DISTRIBUTIONS = "agents", "distributions"
"""What the names in a setting may be names of."""

DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
LONGEST_WRITTEN = 200
"""Characters of a requirement that somebody writes into a settings file."""
TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


class Kind:
    """What a value may be.

    Args:
        metavar: Stands for a value in ``--help``.
        values: Says which values there are, for the documentation.
    """

    secret = False
    repeatable = False
    """Whether its flag may be given several times."""
    is_list = False
    """Whether it is a list, of which an empty one is a value: a variable that is set and empty gives none."""
    names_of = ""
    """What the names in a value are names of: `AGENTS`, `DISTRIBUTIONS`, or of nothing that is checked."""

    def __init__(self, metavar: str, values: str) -> None:
        self.metavar, self.values = metavar, values

    def check(self, value: object) -> Any:
        """Return ``value`` in its final form.

        Raises:
            OpenRTCError: It is wrong; the message continues a line that begins with the setting's name.
        """
        raise NotImplementedError

    def decode(self, text: str) -> object:
        """Return what a settings file would hold for ``text``, from a variable or a flag."""
        return text

    def outweigh(self, value: Any, earlier: Any) -> Any:
        """Return what holds of a checked value and of an earlier one, of a source that it outweighs: the value alone.

        Args:
            value: The value.
            earlier: The earlier one.
        """
        return value

    def names_in(self, value: Any) -> Iterable[str]:
        """Return the names in a checked value, where they are `names_of` something."""
        return value if self.names_of and value else ()


class Text(Kind):
    """Any string."""

    def __init__(self, metavar: str = "TEXT", *, secret: bool = False) -> None:
        super().__init__(metavar, "string")
        self.secret = secret

    def check(self, value: object) -> str:
        if isinstance(value, str):
            return value
        raise _must_be('a string, as in "…"', value)


class AgentName(Text):
    """The name of one agent."""

    names_of = AGENTS

    def __init__(self) -> None:
        super().__init__("AGENT")

    def names_in(self, value: Any) -> Iterable[str]:
        return (value,) if value else ()


class DistributionName(Kind):
    """The name of one installed distribution; it is normalised."""

    def __init__(self) -> None:
        super().__init__("DISTRIBUTION", "name of a distribution")

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise _must_be("the name of a distribution", value)
        if not DISTRIBUTION.fullmatch(value.strip()):
            raise OpenRTCError(f'cannot hold "{value}"', fix="write the name that pip knows, without version or quotes")
        return normalise_name(value.strip())


class Url(Kind):
    """Address of a LiveKit server."""

    def __init__(self) -> None:
        super().__init__("URL", "ws://, wss://, http:// or https://")

    def check(self, value: object) -> str:
        if isinstance(value, str) and re.match(r"(wss?|https?)://[^\s/]", value):
            return value
        raise _must_be("the address of a LiveKit server", value, "as in ws://127.0.0.1:7880")


class Switch(Kind):
    """True or false."""

    def __init__(self) -> None:
        super().__init__("", "true or false")

    def check(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        raise _must_be("true or false", value)

    def decode(self, text: str) -> object:
        lower = text.lower()
        return True if lower in TRUE else False if lower in FALSE else text


class Number(Kind):
    """A whole number in a range, both ends included.

    Args:
        low: The lowest.
        high: The highest.
        unit: What is counted, if it has a unit: ``seconds``, ``MB``.
    """

    def __init__(self, low: int, high: int, unit: str = "") -> None:
        super().__init__(unit.upper() or "N", f"{low} to {high} {unit}".strip())
        self.low, self.high = low, high

    def check(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        raise _must_be(f"a whole number from {self.low} to {self.high}", value)

    def decode(self, text: str) -> object:
        # More digits are in no range; Python raises ValueError from 4300 on.
        return int(text) if re.fullmatch(r"-?[0-9]{1,12}", text) else text


class Seconds(Number):
    """A number of seconds, or of another unit, in a range, also with a fraction: ``60`` or ``2.5``."""

    def __init__(self, low: int, high: int, unit: str = "seconds") -> None:
        super().__init__(low, high, unit)

    def check(self, value: object) -> float:  # type: ignore[override]  # a whole one stays as it is written
        if isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        raise _must_be(f"a number from {self.low} to {self.high}", value)

    def decode(self, text: str) -> object:
        return float(text) if re.fullmatch(r"[0-9]{1,12}\.[0-9]{1,6}", text) else super().decode(text)


class AgentLimits(Kind):
    """What one agent is allowed: a number of sessions, or a table of `CallLimits`."""

    def __init__(self) -> None:
        sessions = Number(1, 100_000)
        super().__init__(sessions.metavar, sessions.values)
        # The upper ends only catch slips, such as milliseconds in place of seconds.
        self.parts: dict[str, Number] = {
            "sessions": sessions,
            "minutes": Seconds(0, 7 * 24 * 60, "minutes"),
            "silent_seconds": Seconds(0, 86_400),
        }

    def check(self, value: object) -> CallLimits:
        if not isinstance(value, dict):
            return CallLimits(sessions=self.parts["sessions"].check(value))
        return CallLimits(**{name: self._check_part(name, one) for name, one in value.items()})

    def decode(self, text: str) -> object:
        return self.parts["sessions"].decode(text)

    def _check_part(self, name: str, value: object) -> Any:
        if name not in self.parts:
            fix = did_you_mean(name, self.parts, f"there are {', '.join(self.parts)}")
            raise OpenRTCError(f'cannot hold "{name}"', fix=fix)
        try:
            return self.parts[name].check(value)
        except OpenRTCError as error:
            raise OpenRTCError(f"({name}) {error.message}", fix=error.fix) from None


class Processes(Number):
    """A number of processes, or ``auto``: one for each core."""

    def __init__(self) -> None:
        super().__init__(0, 256)
        self.values += ", or auto"

    def check(self, value: object) -> int:
        if isinstance(value, str) and value.lower() == "auto":
            from openrtc.posix import usable_cores  # --help does without all of it

            return usable_cores()
        try:
            return super().check(value)
        except OpenRTCError as error:
            raise OpenRTCError(error.message.replace(", not", " or auto, not"), fix=error.fix) from None


class Choice(Kind):
    """One of a few words, in upper or lower case."""

    def __init__(self, *words: str) -> None:
        super().__init__(f"{{{','.join(words)}}}", ", ".join(words))
        self.words = words

    def check(self, value: object) -> str:
        word = value.lower() if isinstance(value, str) else None
        if word in self.words:
            return word
        raise _must_be(
            f"one of {', '.join(self.words)}", value, did_you_mean(str(value), self.words, f"e.g. {self.words[0]}")
        )


class Some(Kind):
    """Some of a few words; ``all`` and ``none`` stand for all and none of them."""

    is_list = True

    def __init__(self, *words: str) -> None:
        super().__init__("NAMES", f"some of {', '.join(words)}; or all, none")
        self.words = words

    def check(self, value: object) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if given in (["all"], ["none"]):
            return self.words if given == ["all"] else ()
        if not isinstance(given, list):
            raise _must_be(f"a list with some of {', '.join(self.words)}", value)
        return tuple(dict.fromkeys(Choice(*self.words).check(word) for word in given))

    def decode(self, text: str) -> object:
        return [part.lower() for part in _split(text)]


class Names(Kind):
    """A list of names.

    Args:
        names_of: `AGENTS`, `DISTRIBUTIONS` (these are normalised), or of nothing that is checked.
    """

    repeatable = is_list = True

    def __init__(self, names_of: str = "") -> None:
        super().__init__("NAMES", f"list of {names_of or 'names'}")
        self.names_of = names_of

    def check(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
            raise _must_be('a list of names, as in ["my-agent"]', value)
        return tuple(dict.fromkeys(self._normalise(name) for name in value))

    def _normalise(self, name: str) -> str:
        return DistributionName().check(name) if self.names_of == DISTRIBUTIONS else name.strip()

    def decode(self, text: str) -> object:
        return _split(text)


class Parts(Names):
    """Distributions, and parts of them: ``my-agent``, ``my-agent:support``.

    Args:
        part: What a part of a distribution is: ``NAME``.
        values: Says which values there are.
        names_of: `DISTRIBUTIONS`, where the names before the colon bring agents or plugins.
    """

    def __init__(self, part: str, values: str, names_of: str = DISTRIBUTIONS) -> None:
        super().__init__(names_of)
        self.part, self.values = part, values

    def check(self, value: object) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(self._check_one, super().check(value))))

    def names_in(self, value: Any) -> Iterable[str]:
        return dict.fromkeys(one.partition(":")[0] for one in super().names_in(value))

    def _normalise(self, name: str) -> str:
        return name.strip()

    def _check_one(self, text: str) -> str:
        name, colon, part = (one.strip() for one in text.partition(":"))
        if colon and not (part and AGENT_NAME.fullmatch(part)):
            raise OpenRTCError(f'cannot hold "{text}"', fix=f"write DISTRIBUTION, or DISTRIBUTION:{self.part}")
        return f"{DistributionName().check(name)}{colon}{part}"


class Requirements(Kind):
    """Distributions with the versions that will do, as pip takes them: ``my-agent>=1,<2``."""

    repeatable = is_list = True

    def __init__(self) -> None:
        super().__init__("REQUIREMENTS", "list of distributions, each with or without versions")

    def check(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise _must_be('a list of requirements, as in ["my-agent>=1"]', value)
        return tuple(dict.fromkeys(map(self._check_one, value)))

    def decode(self, text: str) -> object:
        found: list[str] = []
        for part in _split(text):
            if found and part[0] in "<>=!~":  # there are commas between versions, too
                found[-1] += f",{part}"
            else:
                found.append(part)
        return found

    def _check_one(self, text: str) -> str:
        from packaging.requirements import InvalidRequirement, Requirement  # costs 20 ms that few need to pay

        error = OpenRTCError(f'cannot hold "{one_line(text, 80)}"', fix="write a name and versions: my-agent>=1,<2")
        try:
            requirement = Requirement(text) if len(text) <= LONGEST_WRITTEN else None
        except InvalidRequirement:
            raise error from None
        if requirement is None or requirement.url or requirement.marker or requirement.extras:
            raise error
        return f"{normalise_name(requirement.name)}{requirement.specifier}"


class Table(Kind):
    """A table of name = value.

    Args:
        metavar: One pair of it, such as ``AGENT=NUMBER``.
        example: A line of it, such as ``support = 10 below [limits]``.
        value: What each value may be.
        names_of: What the keys are names of: `AGENTS`; or the values: `DISTRIBUTIONS`.
    """

    repeatable = True

    def __init__(self, metavar: str, example: str, value: Kind, names_of: str) -> None:
        self.shape = " = ".join(metavar.lower().split("="))
        super().__init__(metavar, f"table of {self.shape}")
        self.example, self.value, self.names_of = example, value, names_of

    def check(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _must_be(f"a table of {self.shape}", value, f"as in {self.example}")
        return {name.strip(): self._check_value(name, one) for name, one in value.items()}

    def decode(self, text: str) -> object:
        pairs = [part.partition("=") for part in _split(text)]
        if not all(name.strip() and value.strip() for name, _, value in pairs):
            return text
        return {name.strip(): self.value.decode(value.strip()) for name, _, value in pairs}

    def names_in(self, value: Mapping[str, str]) -> Iterable[str]:
        return value.values() if self.names_of == DISTRIBUTIONS else value

    def _check_value(self, name: str, value: object) -> Any:
        try:
            return self.value.check(value)
        except OpenRTCError as error:
            raise OpenRTCError(f'of "{name}" {error.message}', fix=error.fix) from None


class LimitTable(Table):
    """A table of what agents are allowed, of which variables and flags can say the sessions alone."""

    def __init__(self) -> None:
        super().__init__("AGENT=NUMBER", "support = 10 below [limits]", AgentLimits(), AGENTS)

    def outweigh(self, value: dict[str, CallLimits], earlier: dict[str, CallLimits]) -> dict[str, CallLimits]:
        """Return the value, with what it cannot say: how long a call may be."""
        times = {name: replace(limits, sessions=None) for name, limits in earlier.items()}
        merged = {name: value.get(name, CallLimits()).over(times.get(name)) for name in {**times, **value}}
        return {name: limits for name, limits in merged.items() if limits != CallLimits()}


def _split(text: str) -> list[str]:
    """Return what stands between the commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _must_be(expected: str, value: object, fix: str | None = None) -> OpenRTCError:
    return OpenRTCError(f"must be {expected}, not {value!r}", fix=fix)
