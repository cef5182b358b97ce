"""Arguments of tools, filled from what was said."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from openrtc_offline.rules.arguments import fill_arguments, read_answer
from openrtc_offline.toolbox import Parameter, ToolView

TODAY = date(2026, 11, 21)
TABLE = ToolView(
    "book_table",
    "Book a table.",
    (Parameter("people", "integer"), Parameter("day"), Parameter("time", required=False)),
)
ORDER = ToolView("order_status", "Tell where an order is.", (Parameter("order_number"),))
WEATHER = ToolView("get_weather", "Get the weather in a city.", (Parameter("city"),))
COFFEE = ToolView(
    "order_coffee",
    "Order a coffee.",
    (
        Parameter("size", choices=("small", "medium", "large")),
        Parameter("milk", "boolean", required=False),
        Parameter("cups", "integer", required=False),
    ),
)
TRANSFER = ToolView("transfer", "Transfer money.", (Parameter("amount", "number"), Parameter("recipient")))
MEETING = ToolView(
    "plan_meeting",
    "Plan a meeting.",
    (Parameter("date", format="date"), Parameter("time", format="time"), Parameter("topic", required=False)),
)


@pytest.mark.parametrize(
    ("tool", "said", "arguments"),
    [
        (
            TABLE,
            "I want a table for four people tomorrow at seven",
            {"people": 4, "day": "tomorrow", "time": "seven"},
        ),
        (TABLE, "a table for two on friday", {"people": 2, "day": "friday"}),
        (TABLE, "can I book a table", {}),
        (ORDER, "where is my order number one two three four", {"order_number": "1234"}),
        (ORDER, "where is order 5", {"order_number": "5"}),
        (ORDER, "where is my order", {}),
        (ORDER, "my order is number two fifteen", {"order_number": "215"}),
        (WEATHER, "what is the weather in new york today", {"city": "new york"}),
        (WEATHER, "what is the weather like", {}),
        (COFFEE, "two large coffees with milk", {"size": "large", "milk": True, "cups": 2}),
        (COFFEE, "a small coffee without milk please", {"size": "small", "milk": False}),
        (TRANSFER, "transfer two hundred and fifty dollars to john", {"amount": 250.0, "recipient": "john"}),
        (
            MEETING,
            "plan a meeting about the budget on monday at half past nine",
            {"date": "2026-11-23", "time": "09:30", "topic": "budget"},
        ),
    ],
)
def test_what_is_said_is_filled_and_the_rest_left_out(tool: ToolView, said: str, arguments: dict[str, Any]) -> None:
    assert fill_arguments(tool, said, TODAY) == arguments


@pytest.mark.parametrize(
    ("parameter", "said", "value"),
    [
        (Parameter("order_number"), "it is seven seven two", "772"),
        (Parameter("order_number", "integer"), "one two three", 123),
        (Parameter("people", "integer"), "we are five", 5),
        (Parameter("name"), "my name is alice cooper", "alice cooper"),
        (Parameter("city"), "in paris please", "paris"),
        (Parameter("express", "boolean"), "yes please", True),
        (Parameter("express", "boolean"), "no", False),
        (Parameter("size", choices=("small", "large")), "the large one", "large"),
        (Parameter("time"), "seven", "seven"),
        (Parameter("date", format="date"), "tomorrow", "2026-11-22"),
        (Parameter("people", "integer"), "i do not know", None),
        (Parameter("tags", "array"), "urgent", ["urgent"]),
    ],
)
def test_an_answer_to_a_question_is_the_value(parameter: Parameter, said: str, value: Any) -> None:
    assert read_answer(parameter, said, ToolView("tool", "Do something.", (parameter,)), TODAY) == value
