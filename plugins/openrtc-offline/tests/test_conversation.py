"""What the rule-based model does next in a conversation."""

from __future__ import annotations

from datetime import date

import pytest

from openrtc_offline.rules.conversation import CallTool, Conversation, ConversationItem, Say
from openrtc_offline.toolbox import Parameter, ToolView

ORDER = ToolView("order_status", "Tell where an order is.", (Parameter("order_number"),))
HOURS = ToolView("opening_hours", "Tell the opening hours.")
TABLE = ToolView("book_table", "Book a table.", (Parameter("people", "integer"), Parameter("day")))
BALANCE = ToolView("get_balance", "Return the balance of an account number.", (Parameter("account_number"),))
SECRET = ToolView("secret_word", "Tell the secret word of the day.")
RESTAURANT = (ORDER, HOURS, TABLE)


def step(*lines: str, tools: tuple[ToolView, ...] = RESTAURANT, choice: str = "auto") -> Say | CallTool:
    """Say lines in turn: ``u: …`` the caller, ``a: …`` the agent, ``o: …`` a tool's output, ``i: …`` instructions."""
    roles = {"u": "user", "a": "assistant", "o": "output", "i": "instructions"}
    items = tuple(ConversationItem(roles[line[0]], line[3:]) for line in lines)
    return Conversation(
        name="bistro", tools=tools, items=items, today=date(2026, 11, 21), tool_choice=choice
    ).next_step()


def said(*lines: str, tools: tuple[ToolView, ...] = RESTAURANT, choice: str = "auto") -> str:
    found = step(*lines, tools=tools, choice=choice)
    assert isinstance(found, Say), found
    return found.text


def test_an_agent_that_speaks_first_greets_with_its_name() -> None:
    assert said() == "Hello, this is bistro. How can I help you?"


@pytest.mark.parametrize(
    "hello", ["hello", "Hi there!", "good morning", "hello how are you", "Hello, can you hear me?"]
)
def test_hello_gets_a_greeting_and_not_an_apology(hello: str) -> None:
    assert said(f"u: {hello}") == "Hello, this is bistro. How can I help you?"


@pytest.mark.parametrize("bye", ["goodbye", "thank you, bye", "that is all thank you"])
def test_goodbye_gets_a_goodbye(bye: str) -> None:
    assert "Goodbye" in said(f"u: {bye}")


def test_thanks_are_answered() -> None:
    assert said("u: thank you very much").startswith("You are welcome")


@pytest.mark.parametrize("question", ["what can you do", "How can you help me?", "help"])
def test_abilities_come_from_the_docstrings(question: str) -> None:
    assert said(f"u: {question}") == "I can tell where an order is, tell the opening hours or book a table."


def test_what_fits_no_tool_is_answered_with_what_the_agent_can_do() -> None:
    apology = said("u: the sky was full of elephants")
    assert apology.startswith("Sorry") and "opening hours" in apology


@pytest.mark.parametrize(
    ("request_", "tool"),
    [
        ("what are your opening hours", "opening_hours"),
        ("when are you open on friday", "opening_hours"),
        ("when do you close", "opening_hours"),
        ("what are your openings ours", "opening_hours"),
    ],
)
def test_a_tool_is_called_by_its_words_their_forms_meanings_and_slips(request_: str, tool: str) -> None:
    assert step(f"u: {request_}") == CallTool(tool)


@pytest.mark.parametrize(
    "request_",
    [
        "what is the secret word of the day",
        "tell me the secret",
        "do you have a secret for me",
        "what's today's secret word",
    ],
)
def test_an_agents_only_tool_is_called_for_one_distinctive_word(request_: str) -> None:
    assert step(f"u: {request_}", tools=(SECRET,)) == CallTool("secret_word")


@pytest.mark.parametrize(
    "request_", ["what day is it", "i need a new number", "can you tell me the time", "i want to go home"]
)
def test_words_that_say_little_call_no_tool(request_: str) -> None:
    assert said(f"u: {request_}", tools=(SECRET, BALANCE)).startswith("Sorry")


def test_arguments_are_taken_from_the_request() -> None:
    assert step("u: where is my order number one two three four") == CallTool("order_status", {"order_number": "1234"})
    wanted = CallTool("book_table", {"people": 4, "day": "tomorrow"})
    assert step("u: please book a table for four people tomorrow") == wanted


def test_a_missing_argument_is_asked_for_by_name_and_the_answer_used() -> None:
    first = step("u: where is my order")
    assert first == Say("What is the order number, please?", about="order_status")
    answered = step("u: where is my order", f"a: {first.text}", "u: seven seven two")
    assert answered == CallTool("order_status", {"order_number": "772"})


def test_arguments_are_asked_for_one_after_the_other() -> None:
    lines = ["u: I would like to book a table", "a: How many people?", "u: we are five"]
    assert said(*lines) == "What is the day, please?"
    lines += ["a: What is the day, please?", "u: on friday please"]
    assert step(*lines) == CallTool("book_table", {"people": 5, "day": "friday"})


def test_a_question_cut_short_by_the_caller_still_counts() -> None:
    lines = ["u: where is my order", "a: What is the order", "u: four five six"]
    assert step(*lines) == CallTool("order_status", {"order_number": "456"})


def test_an_argument_that_never_comes_is_given_up() -> None:
    lines = ["u: book a table"]
    for _ in range(3):
        lines += ["a: How many people?", "u: i do not know"]
    assert said(*lines) == "Sorry, without the people I cannot do that."


def test_another_request_instead_of_an_answer_is_followed() -> None:
    lines = ["u: where is my order", "a: What is the order number, please?", "u: tell me your opening hours"]
    assert step(*lines) == CallTool("opening_hours")


def test_a_request_is_dropped_when_the_caller_says_so() -> None:
    lines = ["u: book a table", "a: How many people?", "u: never mind"]
    assert said(*lines).startswith("All right")


def test_a_request_in_two_halves_is_one_request() -> None:
    assert step("u: please book a table", "u: for three people on monday") == CallTool(
        "book_table", {"people": 3, "day": "monday"}
    )


def test_a_tools_result_is_spoken_and_the_tool_not_called_again() -> None:
    assert said("u: what are your opening hours", "o: From nine to six.") == "From nine to six."
    after = ["u: what are your opening hours", "o: From nine to six.", "a: From nine to six.", "u: thank you"]
    assert said(*after).startswith("You are welcome")


def test_two_results_are_both_spoken() -> None:
    assert said("u: hours", "o: One.", "o: Two.") == "One. Two."


def test_tools_that_fit_equally_well_are_offered() -> None:
    blue = ToolView("blue_report", "Read the blue report.")
    red = ToolView("red_report", "Read the red report.")
    question = said("u: read me the report", tools=(blue, red))
    assert question == "Do you want me to read the blue report or read the red report?"
    lines = ("u: read me the report", f"a: {question}", "u: the red one")
    assert step(*lines, tools=(blue, red)) == CallTool("red_report")
    assert step(*lines[:2], "u: the second", tools=(blue, red)) == CallTool("red_report")


def test_no_tool_is_called_where_none_may_be() -> None:
    assert isinstance(step("u: what are your opening hours", choice="none"), Say)


def test_a_forced_tool_is_called() -> None:
    assert step("u: hm", choice="opening_hours") == CallTool("opening_hours")
    assert isinstance(step("u: blue bananas", tools=(HOURS,), choice="required"), CallTool)


@pytest.mark.parametrize(
    ("instructions", "speech"),
    [
        ("Greet the user and offer your help.", "Hello, this is bistro. How can I help you?"),
        ('Say "One moment, please."', "One moment, please."),
        ("Tell the user that the kitchen is closed.", "The kitchen is closed."),
        ("Say goodbye to the user.", "Thank you for calling. Goodbye."),
    ],
)
def test_instructions_for_a_reply_are_followed_where_they_can_be(instructions: str, speech: str) -> None:
    assert said("u: hello", "a: Hello.", f"i: {instructions}") == speech


def test_an_agent_without_tools_says_so() -> None:
    assert said("u: what can you do", tools=()) == "I can only greet you: I have no tools."


def test_a_tool_that_needs_more_than_words_is_not_called() -> None:
    odd = ToolView("upload", "Upload a document.", (Parameter("document", "object"),))
    assert isinstance(step("u: upload a document", tools=(odd,)), Say)
