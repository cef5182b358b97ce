"""What to do next in a conversation: say something, or call one of the agent's tools.

Nothing is remembered: each step is found from the whole conversation, so that one `RuleLLM` may serve any of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from openrtc_offline.rules import phrasing
from openrtc_offline.rules.arguments import fill_arguments, read_answer
from openrtc_offline.rules.intent import Intents
from openrtc_offline.rules.results import speak_result
from openrtc_offline.toolbox import Parameter, ToolView

FILLABLE = ("string", "integer", "number", "boolean", "array")
SAY_INSTRUCTION = re.compile(
    r"(?:please )?(?:say|tell|inform|let)(?: to)?(?: the)?(?: user| caller| customer| them)?(?: know)?(?: that)?:? ",
    re.IGNORECASE,
)
MAX_ATTEMPTS = 3
"""After so many answers without the argument that we ask for, we give up rather than ask for ever."""

LONGEST_TEXT = 4000
"""Characters of a text that are looked at, about five minutes of speech: the rules take some milliseconds for so many,
on the loop that all calls share, and callers can send megabytes as text."""

OTHER_TOOL_SCORE = 2.0
"""While we ask for an argument, an answer that fits another tool with this score or more starts that one instead."""


@dataclass(frozen=True, slots=True)
class ConversationItem:
    """Something said or returned in a conversation.

    Args:
        role: ``user``, ``assistant``, ``output`` (of a tool) or ``instructions`` (for the next reply).
        text: What was said or returned.
        is_error: Whether the tool failed.
    """

    role: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """Say this.

    Args:
        text: What to say.
        about: Name of the tool for which an argument is asked; empty for none.
    """

    text: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class CallTool:
    """Call this tool."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What the model knows when it is asked.

    Args:
        name: The agent's name as one says it.
        tools: The agent's function tools.
        items: What was said and returned so far, oldest first.
        today: The caller's day.
        tool_choice: ``auto``, ``none``, ``required`` or the name of one tool.
    """

    name: str
    tools: tuple[ToolView, ...]
    items: tuple[ConversationItem, ...]
    today: date
    tool_choice: str = "auto"

    def next_step(self) -> Say | CallTool:
        """Return what to do now."""
        last = self.items[-1] if self.items else None
        if last is None:
            return Say(phrasing.build_greeting(self.name))
        if last.role == "output":
            return Say(self._speak_results())
        if last.role == "instructions":
            return Say(self._follow_instructions(last.text))
        if last.role == "assistant":
            return Say(phrasing.ANYTHING_ELSE)
        return self._answer_lines(self._find_open_lines())

    @property
    def _callable_tools(self) -> tuple[ToolView, ...]:
        if self.tool_choice == "none":
            return ()
        named = tuple(tool for tool in self.tools if tool.name == self.tool_choice)
        return named or tuple(tool for tool in self.tools if _is_fillable(tool))

    def _speak_results(self) -> str:
        outputs: list[ConversationItem] = []
        for item in reversed(self.items):
            if item.role != "output":
                break
            outputs.insert(0, item)
        return " ".join(speak_result(item.text, is_error=item.is_error) for item in outputs)

    def _follow_instructions(self, text: str) -> str:
        if quoted := re.search(r"[\"“]([^\"”]{2,})[\"”]|(?:^|\s)'([^']{2,})'", text):
            return quoted[1] or quoted[2]
        lowered = text.lower()
        if re.search(r"\b(?:greet|welcome|hello|introduce|offer)\b", lowered) or not self._has("user"):
            return phrasing.build_greeting(self.name)
        if re.search(r"\b(?:goodbye|farewell|bye)\b", lowered):
            return phrasing.GOODBYE
        to_say = SAY_INSTRUCTION.match(text)
        if to_say and len(rest := text[to_say.end() :].strip()) > 1:
            return rest[0].upper() + rest[1:]
        return phrasing.ANYTHING_ELSE

    def _has(self, role: str) -> bool:
        return any(item.role == role for item in self.items)

    def _find_open_lines(self) -> list[str]:
        """Return what the caller said since the last request was done: another one, and answers to our questions."""
        asked = {phrasing.build_question(p) for tool in self.tools for p in tool.parameters}
        said: list[str] = []
        joining = False
        for item in reversed(self.items):
            if item.role == "user":
                said = [cut_text(f"{item.text} {said[0]}"), *said[1:]] if joining else [item.text, *said]
                joining = True
            elif item.role == "assistant" and _is_own_question(item.text, asked):
                joining = False
            elif item.role != "instructions":
                break
        return said

    def _answer_lines(self, said: list[str]) -> Say | CallTool:
        step: Say | CallTool = Say(phrasing.build_apology(self.tools))
        rest = list(said)
        while rest:
            request = _CallerRequest(self, rest)
            step, rest = request.step, request.unused
        return step


class _CallerRequest:
    """One request of the caller with the answers to our questions; ``unused`` is what starts another request."""

    def __init__(self, conversation: Conversation, said: list[str]) -> None:
        self._conversation = conversation
        self._intents = Intents(conversation._callable_tools)
        self.unused: list[str] = []
        self.step = self._handle(said)

    def _handle(self, said: list[str]) -> Say | CallTool:
        text, answers = said[0], said[1:]
        tools = self._choose_tools(text)
        while len(tools) != 1 and answers and tools:
            pick, answers = answers[0], answers[1:]
            tools = _pick_by_ordinal(tools, pick) or self._choose_tools(f"{text} {pick}")
        if not tools or self._is_small_talk(text):
            self.unused = answers
            return Say(self._small_talk(text))
        if len(tools) > 1:
            return Say(phrasing.build_choice(tools[:3]))
        return self._fill(tools[0], text, answers)

    def _choose_tools(self, text: str) -> list[ToolView]:
        forced = self._conversation.tool_choice
        candidates = self._conversation._callable_tools
        if forced not in ("auto", "none", "required"):
            return list(candidates[:1])
        chosen = self._intents.choose(text)
        return chosen or (list(candidates[:1]) if forced == "required" else [])

    def _fill(self, tool: ToolView, text: str, answers: list[str]) -> Say | CallTool:
        today = self._conversation.today
        arguments = fill_arguments(tool, text, today)
        failures = 0
        while (missing := _find_missing(tool, arguments)) is not None:
            if not answers:
                return Say(phrasing.build_question(missing), about=tool.name)
            given, answers = answers[0], answers[1:]
            if phrasing.CANCEL.search(given):
                self.unused = answers
                return Say(phrasing.DROPPED)
            if self._is_other_request(tool, given):
                self.unused = [given, *answers]
                return Say(phrasing.DROPPED)
            value = read_answer(missing, given, tool, today)
            failures += value is None
            if failures >= MAX_ATTEMPTS:
                self.unused = answers
                return Say(f"Sorry, without the {missing.spoken_name} I cannot do that.")
            arguments = (
                fill_arguments(tool, given, today) | arguments | ({} if value is None else {missing.name: value})
            )
        self.unused = answers
        return CallTool(tool.name, {p.name: arguments[p.name] for p in tool.parameters if p.name in arguments})

    def _is_other_request(self, tool: ToolView, text: str) -> bool:
        best = self._intents.rank(text)[0]
        return best.tool is not tool and best.score >= OTHER_TOOL_SCORE

    def _is_small_talk(self, text: str) -> bool:
        short = len(text.split()) <= 6
        lowered = text.lower()
        return (
            phrasing.is_greeting(text)
            or bool(phrasing.HELP.search(lowered))
            or (short and bool(phrasing.BYE.search(lowered)))
        )

    def _small_talk(self, text: str) -> str:
        lowered, tools = text.lower(), self._conversation.tools
        if phrasing.HELP.search(lowered):
            return phrasing.describe_abilities(tools)
        if phrasing.is_greeting(text):
            return phrasing.build_greeting(self._conversation.name)
        if phrasing.BYE.search(lowered):
            return phrasing.GOODBYE
        if phrasing.THANKS.search(lowered):
            return phrasing.WELCOME
        return phrasing.build_apology(tools)


def cut_text(text: str) -> str:
    """Return the beginning of a text that is too long for the rules, up to the end of a word."""
    if len(text) <= LONGEST_TEXT:
        return text
    head = text.lstrip()[:LONGEST_TEXT]
    return " ".join(head.split()[:-1]) or head or text[:1]


def _is_fillable(tool: ToolView) -> bool:
    return all(p.kind in FILLABLE for p in tool.parameters if p.required)


def _find_missing(tool: ToolView, arguments: dict[str, Any]) -> Parameter | None:
    return next((p for p in tool.parameters if p.required and p.name not in arguments), None)


def _pick_by_ordinal(tools: list[ToolView], text: str) -> list[ToolView]:
    for word, index in (("first", 0), ("second", 1), ("third", 2), ("last", -1)):
        if re.search(rf"\b{word}\b", text.lower()) and (index < len(tools)):
            return [tools[index]]
    return []


def _is_own_question(text: str, questions: set[str]) -> bool:
    """Whether an agent's line, which an interruption may have cut short, is a question of ours."""
    line = text.strip()
    if line.startswith(phrasing.CHOICE_LEAD):
        return True
    # Fewer letters begin too many other sentences.
    return any(question == line or (len(line) > 7 and question.startswith(line)) for question in questions)
