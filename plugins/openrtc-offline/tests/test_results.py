"""What a tool returned, as something that can be said."""

from __future__ import annotations

import pytest

from openrtc_offline.rules.results import speak_result


@pytest.mark.parametrize(
    ("output", "speech"),
    [
        ("We are open until six.", "We are open until six."),
        ('{"order_id": 7, "status": "shipped"}', "order id is 7, status is shipped."),
        ("{'paid': True, 'items': ['tea', 'milk']}", "paid is yes, items is tea and milk."),
        ('["red", "green", "blue"]', "red, green and blue"),
        ('[{"day": "monday", "open": true}, {"day": "friday"}]', "day monday, open yes and day friday"),
        ("42", "42"),
        ("None", "nothing"),
        ("", "Done."),
        ("[not json", "[not json"),
    ],
)
def test_a_result_is_readable_aloud(output: str, speech: str) -> None:
    assert speak_result(output, is_error=False) == speech


def test_an_error_is_an_apology_with_the_tools_own_words() -> None:
    assert speak_result("No such order.", is_error=True) == "Sorry, that did not work. No such order."
    assert speak_result("An internal error occurred", is_error=True) == "Sorry, that did not work."
