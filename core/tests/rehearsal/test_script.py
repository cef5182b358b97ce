from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import llm

from openrtc.rehearsal.errors import ScriptError
from openrtc.rehearsal.script import Script, ToolCall


async def ask(script: Script, said: str = "Hello", tools: tuple[str, ...] = ()) -> list[Any]:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content=said)
    schemas = [llm.function_tool(_do_nothing, raw_schema={"name": name, "parameters": {}}) for name in tools]
    deltas = [chunk.delta async for chunk in script.chat(chat_ctx=context, tools=list(schemas))]
    return [d.content or [(c.name, c.arguments) for c in d.tool_calls] for d in deltas if d]


async def _do_nothing(raw_arguments: dict[str, object]) -> None: ...


async def test_each_answer_is_given_once_in_order() -> None:
    script = Script(["Hi.", ToolCall("look", at="it"), ["Wait.", ToolCall("look"), ToolCall("walk")]])
    assert await ask(script) == ["Hi."]
    assert await ask(script, tools=("look",)) == [[("look", '{"at": "it"}')]]
    assert await ask(script, tools=("look", "walk")) == ["Wait.", [("look", "{}")], [("walk", "{}")]]
    script.check_complete()


async def test_what_it_does_not_foresee_is_told_in_one_line() -> None:
    script = Script(["Hi."])
    await ask(script)
    with pytest.raises(ScriptError) as raised:
        await ask(script, "And then?")
    assert str(raised.value) == (
        "the script has 1 answer, and the model was asked once more: for 'And then?' (add the answer to the script)"
    )
    with pytest.raises(
        ScriptError, match="calls the tool 'lok', which the agent does not have \\(did you mean \"look\""
    ):
        await ask(Script([ToolCall("lok")]), tools=("look",))
    with pytest.raises(
        ScriptError, match="of 'host' calls the tool 'look', which the agent does not have \\(it has none"
    ):
        await ask(Script([ToolCall("look")], "host"))


async def test_answers_that_were_not_asked_for_are_told() -> None:
    script = Script(["Hi.", ["One.", ToolCall("look", at=1)]])
    await ask(script)
    with pytest.raises(ScriptError, match=r"never asked for: \['One.', ToolCall\('look', at=1\)\] \(take them out"):
        script.check_complete()


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ("Hi.", "the script is 'Hi.', not a list of answers"),
        ([7], "an answer of the script is 7"),
        ([["Hi.", None]], "an answer of the script is None"),
        ([{"Hi": 1}], "an answer of the script is {'Hi': 1}"),
        ([ToolCall("look", at={1})], "has an argument that is no JSON value"),
    ],
)
def test_what_is_no_answer_is_refused_at_once(answers: Any, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        Script(answers)
