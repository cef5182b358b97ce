"""Which listener an event of livekit's native library is for, as an `Address`, read from the listener's own test.

A listener tests events, as in ``event.publish_data.async_id == 7``. `AddressFinder` lets it test an event that records
what it is compared with, and, once for the same code, real events: one that must pass, and others that must not. What
remains in doubt has no address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, NamedTuple

from google.protobuf.message import Message

ID_FIELDS = ("async_id", "stream_handle", "reader_handle", "room_handle", "local_participant_handle", "capture_handle")
"""The fields that hold an event's id; no kind of event has two of them."""
ANY_ID = -1  # no handle of the native library is negative

Test = Callable[[Any], Any]


class Address(NamedTuple):
    """The kind of an event, and the id of the request, stream or room that it belongs to, or `ANY_ID`."""

    kind: str
    id: int


class AddressFinder:
    """Finds the addresses of one type of events.

    Args:
        event_type: The message, whose field set in ``message`` is the kind of the event.
    """

    def __init__(self, event_type: type[Message]) -> None:
        self._event_type = event_type
        self._ids = _find_id_fields(event_type)
        self._proved: set[tuple[CodeType, str]] = set()

    def find_of_event(self, event: Any) -> Address:
        """Return the address that an event bears."""
        kind = event.WhichOneof("message") or ""
        field = self._ids.get(kind)
        return Address(kind, getattr(getattr(event, kind), field) if field else ANY_ID)

    def find_of_test(self, test: Test) -> Address | None:
        """Return the address of the events that pass a listener's test, or None when they have no single one."""
        try:
            return self._find_only(test)
        except Exception:  # a test may do anything with an event, here with one that only records: it gets no address
            return None

    def is_answer(self, address: Address) -> bool:
        """Whether a single event has this address: the answer to a request."""
        return self._ids[address.kind] == "async_id"

    def _find_only(self, test: Test) -> Address | None:
        recorded: set[Address] = set()
        if test(_RecordingEvent(recorded, self._ids, answer=True)) is not True or len(recorded) != 1:
            return None
        (address,) = recorded
        # Each wait has a lambda of its own, but all of one place in livekit have the same code: one proof does for all,
        # and only the recording, which gives the id, is made each time.
        code = getattr(test, "__code__", None)
        if address.id > 0 and ((code, address.kind) in self._proved or self._prove(test, address)):
            self._proved.update({(code, address.kind)} if code else ())
            return address
        return None

    def _prove(self, test: Test, address: Address) -> bool:
        """Return whether only events of the address pass the test, as far as that can be tried."""
        recorded = {address}  # and whatever it compares instead when that is not the answer
        if test(_RecordingEvent(recorded, self._ids, answer=False)) is not False or len(recorded) != 1:
            return False
        others = [Address(kind, address.id) for kind, field in self._ids.items() if field and kind != address.kind]
        others.append(Address(address.kind, address.id + 1))
        return bool(test(self._build_event(address))) and not any(test(self._build_event(other)) for other in others)

    def _build_event(self, address: Address) -> Message:
        event = self._event_type()
        setattr(getattr(event, address.kind), self._ids[address.kind], address.id)
        return event


def _find_id_fields(event_type: type[Message]) -> dict[str, str]:
    """Return for each kind of event the name of the field that holds its id; empty where it has none."""
    kinds: list[Any] = list(event_type.DESCRIPTOR.oneofs_by_name["message"].fields)
    fields = {kind.name: [field.name for field in kind.message_type.fields] for kind in kinds}
    return {kind: next((name for name in names if name in ID_FIELDS), "") for kind, names in fields.items()}


class _RecordingEvent:
    """Stands where a listener expects an event, and records with which ids it compares which kind.

    Args:
        recorded: Where it records that.
        ids: The name of the id's field by the kind of the event.
        answer: What it answers to each comparison, so that both sides of ``or`` and of ``and`` are seen.
        path: The names by which it was reached from the event.
    """

    def __init__(
        self, recorded: set[Address], ids: Mapping[str, str], *, answer: bool, path: tuple[str, ...] = ()
    ) -> None:
        self._recorded = recorded
        self._ids = ids
        self._answer = answer
        self._path = path

    def __getattr__(self, name: str) -> _RecordingEvent:
        return _RecordingEvent(self._recorded, self._ids, answer=self._answer, path=(*self._path, name))

    def WhichOneof(self, name: str) -> _RecordingEvent:
        """Return what stands for the kind of the event."""
        return getattr(self, f"which {name}")  # type: ignore[no-any-return]  # of `__getattr__`

    def __eq__(self, other: object) -> bool:
        match self._path:
            case (kind, field) if isinstance(other, int) and self._ids.get(kind) == field:
                self._recorded.add(Address(kind, other))
        return self._answer

    __hash__ = None  # type: ignore[assignment]  # what equals everything has no hash: a test with `in {…}` fails here
