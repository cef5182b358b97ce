"""What a call has kept is of the new classes after a reload."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from openrtc.reload import identity
from openrtc.reload.identity import find_current, note_reloaded, renew

SOURCE = """
import enum
from dataclasses import dataclass, field

class Mode(enum.Enum):
    OPEN = "open"
    SHUT = "shut"

@dataclass
class State:
    mode: Mode = Mode.OPEN
    inner: object = None

@dataclass(frozen=True)
class Frozen:
    mode: Mode = Mode.OPEN

@dataclass(slots=True)
class Slotted:
    mode: Mode = Mode.OPEN

class Plain:
    pass

def make():
    class Local:
        pass
    return Local
"""


def load(source: str = SOURCE) -> Any:
    module = ModuleType("kept_by_calls")
    sys.modules["kept_by_calls"] = module
    exec(source, vars(module))
    return module


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(identity, "_reloaded", set())
    yield load()
    del sys.modules["kept_by_calls"]


def reload(source: str = SOURCE) -> Any:
    new = load(source)
    note_reloaded(["kept_by_calls"])
    return new


def test_objects_and_members_of_enumerations_are_of_the_new_classes(old: Any) -> None:
    state = old.State(old.Mode.SHUT, {"list": [old.Plain(), (old.Mode.OPEN, 1)], old.Mode.OPEN: {old.Mode.SHUT}})
    state.inner["list"][0].back = state  # in a circle
    new = reload()
    assert renew(state) is state
    assert isinstance(state, new.State) and state.mode is new.Mode.SHUT
    plain, pair = state.inner["list"]
    assert isinstance(plain, new.Plain) and plain.back is state
    assert pair == (new.Mode.OPEN, 1) and state.inner[new.Mode.OPEN] == {new.Mode.SHUT}
    assert new.State(new.Mode.SHUT) == renew(old.State(old.Mode.SHUT))
    assert pickle.loads(pickle.dumps(state.mode)) is new.Mode.SHUT


def test_frozen_and_slotted_objects_are_renewed_too(old: Any) -> None:
    frozen, slotted = old.Frozen(), old.Slotted()
    new = reload()
    assert renew(frozen) is frozen and type(frozen) is new.Frozen and frozen.mode is new.Mode.OPEN
    assert renew(slotted) is slotted and type(slotted) is new.Slotted and slotted.mode is new.Mode.OPEN


def test_fields_that_the_new_class_has_besides_get_their_defaults(old: Any) -> None:
    state = old.State()
    reload(
        SOURCE.replace(
            "    inner: object = None", "    inner: object = None\n    notes: list = field(default_factory=list)"
        )
    )
    assert renew(state).notes == []


def test_what_cannot_be_renewed_stays_as_it_is(old: Any) -> None:
    slotted, gone, local = old.Slotted(), old.Mode.SHUT, old.make()()
    new = reload(SOURCE.replace("(slots=True)", "").replace('    SHUT = "shut"\n', ""))
    assert type(renew(slotted)) is old.Slotted
    assert slotted.mode is new.Mode.OPEN
    assert renew(gone) is gone
    assert renew(local) is local


def test_classes_that_were_not_reloaded_have_no_other_one(old: Any) -> None:
    load()
    assert find_current(old.State) is None, "nobody has told that it was"
    note_reloaded(["kept_by_calls"])
    assert find_current(old.State) is sys.modules["kept_by_calls"].State
    assert find_current(load().State) is None, "there is no newer one"
    assert find_current(dict) is None
