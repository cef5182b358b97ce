from __future__ import annotations

import pytest

from openrtc.model.hung_package import FIX_IMPORT, FIX_OTHER, HUNG_VARIABLE, IMPORT, name_hung, put_hung, take_hung
from openrtc.model.status import State, Status
from openrtc.settings.config import SETTINGS


def test_a_process_that_begins_again_gets_them_and_what_it_starts_does_not() -> None:
    hung = (name_hung("My_Agent", IMPORT, 60, "a.py:1"), name_hung("b", "openrtc_agents", 2.5, None))
    environ = put_hung({"PATH": "/bin"}, hung)
    assert environ["PATH"] == "/bin"
    assert take_hung(environ) == hung
    assert environ == {"PATH": "/bin"}
    assert take_hung(environ) == ()
    reason = "its import had not ended after 60 seconds"
    assert (hung[0].key, hung[0].status) == ("my-agent", Status(State.BROKEN, reason, FIX_IMPORT, "a.py:1"))
    assert hung[1].status == Status(State.BROKEN, "openrtc_agents had not ended after 2.5 seconds", FIX_OTHER, None)


@pytest.mark.parametrize("text", ["", "x", "7", "null", '[{"distribution": "a"}]', '["a"]', '{"a": 1}'])
def test_what_somebody_else_has_written_there_means_nothing(text: str) -> None:
    assert take_hung({HUNG_VARIABLE: text}) == ()


def test_no_setting_has_that_variable() -> None:
    assert HUNG_VARIABLE not in {setting.variable for setting in SETTINGS}
