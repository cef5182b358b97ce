"""Who an event of livekit's native library is for: an `Address`, and how a listener's own test of events tells its own.

A listener tests events, as in ``event.publish_data.async_id == 7``. `address_from` lets it test an event that notes
what it is compared with, and then real events: one that must pass, and others that must not. What remains in doubt has
no address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

ID_FIELDS = ("async_id", "stream_handle", "reader_handle", "room_handle", "local_participant_handle", "capture_handle")
ANY_ID = -1

Test = Callable[[Any], Any]


class Address(NamedTuple):
    """The kind of an event, and the id of the request, stream or room that it belongs to, or `ANY_ID`."""

    kind: str
    id: int


def ids_of(event_type: type[Message]) -> Mapping[str, str]:
    """Return for each kind of event the name of the field that holds its id, where it has one."""
    kinds: list[FieldDescriptor] = list(event_type.DESCRIPTOR.oneofs_by_name["message"].fields)
    fields = {kind.name: [field.name for field in kind.message_type.fields] for kind in kinds}
    return {kind: next((name for name in names if name in ID_FIELDS), "") for kind, names in fields.items()}


def address_of(event: Any, ids: Mapping[str, str]) -> Address:
    """Return who an event is for.

    Args:
        event: The event.
        ids: What `ids_of` returns for its type.
    """
    kind = event.WhichOneof("message") or ""
    field = ids.get(kind)
    return Address(kind, getattr(getattr(event, kind), field) if field else ANY_ID)


def address_from(test: Test, event_type: type[Message], ids: Mapping[str, str]) -> Address | None:
    """Return the address of the events that pass a listener's test, or None when they have no single one."""
    noted: set[Address] = set()
    try:
        test(_Noting(noted, ids, answer=True))
        if test(_Noting(noted, ids, answer=False)) is not False:
            return None
    except Exception:
        return None
    if len(noted) != 1:
        return None
    (address,) = noted
    return address if address.id > 0 and _holds(test, address, event_type, ids) else None


def _holds(test: Test, address: Address, event_type: type[Message], ids: Mapping[str, str]) -> bool:
    others = [Address(address.kind, address.id + 1)]
    others += [Address(kind, address.id) for kind, field in ids.items() if field and kind != address.kind][:3]
    try:
        passes = test(_event(event_type, address, ids))
        return bool(passes) and not any(test(_event(event_type, other, ids)) for other in others)
    except Exception:
        return False


def _event(event_type: type[Message], address: Address, ids: Mapping[str, str]) -> Message:
    event = event_type()
    setattr(getattr(event, address.kind), ids[address.kind], address.id)
    return event


class _Noting:
    """Stands where a listener expects an event, and notes with which ids it compares which kind.

    Args:
        noted: Where it notes that.
        ids: What `ids_of` returns.
        answer: What it answers to each comparison, so that both sides of ``or`` and of ``and`` are seen.
        path: The names by which it was reached from the event.
    """

    def __init__(
        self, noted: set[Address], ids: Mapping[str, str], *, answer: bool, path: tuple[str, ...] = ()
    ) -> None:
        self._noted = noted
        self._ids = ids
        self._answer = answer
        self._path = path

    def __getattr__(self, name: str) -> _Noting:
        return _Noting(self._noted, self._ids, answer=self._answer, path=(*self._path, name))

    def WhichOneof(self, name: str) -> _Noting:
        """Return what stands for the kind of the event."""
        return getattr(self, f"which {name}")  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        match self._path:
            case (kind, field) if isinstance(other, int) and self._ids.get(kind) == field:
                self._noted.add(Address(kind, other))
        return self._answer

    __hash__ = None  # type: ignore[assignment]
