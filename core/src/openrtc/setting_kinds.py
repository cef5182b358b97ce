"""What a setting's value may be: each kind checks a value and decodes one from text."""

from __future__ import annotations

import os
import re

from openrtc.catalog.isolation import KINDS
from openrtc.errors import OpenRTCError
from openrtc.suggest import did_you_mean

DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


class Kind:
    """What a value may be. `check` raises `OpenRTCError` with a message that follows the setting's name."""

    secret = False

    def check(self, value: object) -> object:
        """Return ``value`` in its final form."""
        raise NotImplementedError

    def decode(self, text: str) -> object:
        """Return what a settings file would hold for ``text``, from a variable or a flag."""
        return text


class Text(Kind):
    """Any text."""

    def __init__(self, secret: bool = False) -> None:
        self.secret = secret

    def check(self, value: object) -> str:
        if isinstance(value, str):
            return value
        raise _wrong(value, 'a text, as in "…"')


class Url(Kind):
    """Address of a LiveKit server."""

    def check(self, value: object) -> str:
        if isinstance(value, str) and re.match(r"(wss?|https?)://[^\s/]", value):
            return value
        raise _wrong(value, "the address of a LiveKit server", "as in ws://127.0.0.1:7880")


class Switch(Kind):
    """True or false."""

    def check(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        raise _wrong(value, "true or false")

    def decode(self, text: str) -> object:
        lower = text.lower()
        return True if lower in TRUE else False if lower in FALSE else text


class Number(Kind):
    """A whole number in a range."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def check(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        raise _wrong(value, f"a whole number from {self.low} to {self.high}")

    def decode(self, text: str) -> object:
        return int(text) if re.fullmatch(r"-?[0-9]{1,12}", text) else text


class Processes(Number):
    """A number of processes, or ``auto``: one for each core."""

    def __init__(self) -> None:
        super().__init__(0, 256)

    def check(self, value: object) -> int:
        if isinstance(value, str) and value.lower() == "auto":
            return usable_cores()
        try:
            return super().check(value)
        except OpenRTCError as error:
            raise OpenRTCError(f"{error.message.replace(', not', ' or auto, not')}", fix=error.fix) from None


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Choice(Kind):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def check(self, value: object) -> str:
        word = value.lower() if isinstance(value, str) else None
        if word in self.words:
            return word
        raise _wrong(
            value, f"one of {', '.join(self.words)}", did_you_mean(str(value), self.words, f"e.g. {self.words[0]}")
        )


class Some(Kind):
    """Some of a few words; ``all`` and ``none`` stand for all and none of them."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def check(self, value: object) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if given in (["all"], ["none"]):
            return self.words if given == ["all"] else ()
        if not isinstance(given, list):
            raise _wrong(value, f"a list with some of {', '.join(self.words)}")
        return tuple(dict.fromkeys(Choice(*self.words).check(word) for word in given))

    def decode(self, text: str) -> object:
        return [word for part in text.split(",") if (word := part.strip().lower())]


class Names(Kind):
    """A list of names; those of distributions are normalised."""

    def __init__(self, distributions: bool = False) -> None:
        self.distributions = distributions

    def check(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
            raise _wrong(value, 'a list of names, as in ["my-agent"]')
        names = [name.strip() for name in value]
        return tuple(dict.fromkeys(distribution_name(name) if self.distributions else name for name in names))

    def decode(self, text: str) -> object:
        return [part.strip() for part in text.split(",") if part.strip()]


class PreferTable(Kind):
    """Which distribution wins a name."""

    def check(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
            raise _wrong(value, "a table of name = distribution", 'as in support = "my-agent" below [plugins.prefer]')
        return {name.strip(): distribution_name(winner) for name, winner in value.items()}

    def decode(self, text: str) -> object:
        return _pairs(text)


class IsolationTable(Kind):
    """Where the calls of which agent run."""

    def check(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            raise _wrong(value, "a table of agent = kind", 'as in support = "process" below [isolation]')
        return {name.strip(): self._kind(name, kind) for name, kind in value.items()}

    def decode(self, text: str) -> object:
        return _pairs(text)

    @staticmethod
    def _kind(name: str, kind: object) -> str:
        try:
            return Choice(*KINDS).check(kind)
        except OpenRTCError as error:
            raise OpenRTCError(f'of "{name}" {error.message}', fix=error.fix) from None


def _pairs(text: str) -> object:
    """Return ``a=b,c=d`` as a table; any other text as it is."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        return text
    return {name.strip(): value.strip() for name, _, value in pairs}


class LimitTable(Kind):
    """How many of something each name may have."""

    def check(self, value: object) -> dict[str, int]:
        if not isinstance(value, dict) or not all(type(count) is int and count > 0 for count in value.values()):
            raise _wrong(value, "a table of agent = number", "as in support = 10 below [limits]")
        return {name.strip(): count for name, count in value.items()}

    def decode(self, text: str) -> object:
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        if not all(name.strip() and count.strip().isdecimal() for name, _, count in pairs):
            return text
        return {name.strip(): int(count) for name, _, count in pairs}


def normalised(name: str) -> str:
    """Return a distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution_name(name: str) -> str:
    """Return a distribution's name in normal form, or raise `OpenRTCError` when it cannot be one."""
    if not DISTRIBUTION.fullmatch(name.strip()):
        raise OpenRTCError(f'cannot hold "{name}"', fix="write the name that pip knows, without version or quotes")
    return normalised(name.strip())


def _wrong(value: object, expected: str, fix: str | None = None) -> OpenRTCError:
    return OpenRTCError(f"must be {expected}, not {value!r}", fix=fix)
