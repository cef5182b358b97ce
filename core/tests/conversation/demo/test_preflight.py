from __future__ import annotations

from livekit.agents import function_tool

from openrtc.conversation.demo.preflight import choose_questions


@function_tool
async def order_status(order_number: int) -> str:
    """Tell where an order is.

    Args:
        order_number: Its number.
    """
    return str(order_number)


@function_tool
async def opening_hours() -> str:
    """Tell the opening hours."""
    return "nine to six"


@function_tool
async def cancel_order() -> str:
    return "cancelled"


def test_examples_come_first_and_those_far_apart_are_chosen() -> None:
    examples = ("what are the prices", "what are the large prices", "book a demonstration")
    assert choose_questions(examples, [opening_hours]) == ("what are the prices", "book a demonstration")


def test_without_examples_the_docstrings_of_tools_are_asked() -> None:
    assert choose_questions((), [opening_hours], most=1) == ("tell the opening hours",)


def test_tools_that_need_nothing_are_asked_before_those_that_need_arguments() -> None:
    assert choose_questions((), [order_status, opening_hours]) == ("tell the opening hours", "tell where an order is")


def test_a_tool_without_a_docstring_is_asked_by_its_name() -> None:
    assert choose_questions((), [cancel_order]) == ("cancel order",)


def test_an_agent_without_tools_is_greeted() -> None:
    assert choose_questions((), []) == ("hello",)
    assert choose_questions((" ",), []) == ("hello",)
