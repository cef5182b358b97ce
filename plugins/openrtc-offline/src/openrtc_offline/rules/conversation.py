"""What to do next in a conversation: say something, or call one of the agent's tools. Pure: nothing is remembered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from openrtc_offline.rules import phrasing
from openrtc_offline.rules.arguments import answer, fill
from openrtc_offline.rules.intent import Intents
from openrtc_offline.rules.results import spoken_result
from openrtc_offline.toolbox import Parameter, ToolView

FILLABLE = ("string", "integer", "number", "boolean", "array")
SAY = re.compile(
    r"(?:please )?(?:say|tell|inform|let)(?: to)?(?: the)?(?: user| caller| customer| them)?(?: know)?(?: that)?:? ",
    re.IGNORECASE,
)
ATTEMPTS = 3
OTHER_TOOL = 2.0
"""While an argument is asked for, another tool is called instead from this score on."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One item of a conversation.

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
        about: Name of the tool whose argument is asked for.
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
        turns: What was said so far, oldest first.
        today: The caller's day.
        tool_choice: ``auto``, ``none``, ``required`` or the name of one tool.
    """

    name: str
    tools: tuple[ToolView, ...]
    turns: tuple[Turn, ...]
    today: date
    tool_choice: str = "auto"

    def next_step(self) -> Say | CallTool:
        """Return what to do now."""
        last = self.turns[-1] if self.turns else None
        if last is None or not any(turn.role in ("user", "output", "assistant", "instructions") for turn in self.turns):
            return Say(phrasing.greeting(self.name))
        if last.role == "output":
            return Say(self._results())
        if last.role == "instructions":
            return Say(self._instructed(last.text))
        if last.role == "assistant":
            return Say(phrasing.ANYTHING_ELSE)
        return self._reply(self._open_matter())

    @property
    def _callable(self) -> tuple[ToolView, ...]:
        if self.tool_choice == "none":
            return ()
        named = tuple(tool for tool in self.tools if tool.name == self.tool_choice)
        return named or tuple(tool for tool in self.tools if _fillable(tool))

    def _results(self) -> str:
        outputs: list[Turn] = []
        for turn in reversed(self.turns):
            if turn.role != "output":
                break
            outputs.insert(0, turn)
        return " ".join(spoken_result(turn.text, is_error=turn.is_error) for turn in outputs)

    def _instructed(self, text: str) -> str:
        if quoted := re.search(r"[\"“]([^\"”]{2,})[\"”]|(?:^|\s)'([^']{2,})'", text):
            return quoted[1] or quoted[2]
        lowered = text.lower()
        if re.search(r"\b(?:greet|welcome|hello|introduce|offer)\b", lowered) or not self._has("user"):
            return phrasing.greeting(self.name)
        if re.search(r"\b(?:goodbye|farewell|bye)\b", lowered):
            return phrasing.GOODBYE
        told = SAY.match(text)
        if told and len(rest := text[told.end() :].strip()) > 1:
            return rest[0].upper() + rest[1:]
        return phrasing.ANYTHING_ELSE

    def _has(self, role: str) -> bool:
        return any(turn.role == role for turn in self.turns)

    def _open_matter(self) -> list[str]:
        """Return what the caller said since the last settled matter: a request, then answers to our questions."""
        asked = {phrasing.question(p) for tool in self.tools for p in tool.parameters}
        said: list[str] = []
        joining = False
        for turn in reversed(self.turns):
            if turn.role == "user":
                said = [f"{turn.text} {said[0]}", *said[1:]] if joining else [turn.text, *said]
                joining = True
            elif turn.role == "assistant" and _is_ours(turn.text, asked):
                joining = False
            elif turn.role != "instructions":
                break
        return said

    def _reply(self, said: list[str]) -> Say | CallTool:
        step: Say | CallTool = Say(phrasing.sorry(self.tools))
        rest = list(said)
        while rest:
            request = _Request(self, rest)
            step, rest = request.step, request.unused
        return step


class _Request:
    """One request of the caller with the answers to our questions; ``unused`` is what starts another request."""

    def __init__(self, conversation: Conversation, said: list[str]) -> None:
        self._conversation = conversation
        self._intents = Intents(conversation._callable)
        self.unused: list[str] = []
        self.step = self._follow(said)

    def _follow(self, said: list[str]) -> Say | CallTool:
        text, answers = said[0], said[1:]
        tools = self._wanted(text)
        while len(tools) != 1 and answers and tools:
            pick, answers = answers[0], answers[1:]
            tools = _picked(tools, pick) or self._wanted(f"{text} {pick}")
        if not tools or self._is_talk(text):
            self.unused = answers
            return Say(self._talk(text))
        if len(tools) > 1:
            return Say(phrasing.choice(tools[:3]))
        return self._filled(tools[0], text, answers)

    def _wanted(self, text: str) -> list[ToolView]:
        forced = self._conversation.tool_choice
        candidates = self._conversation._callable
        if forced not in ("auto", "none", "required"):
            return list(candidates[:1])
        chosen = self._intents.choose(text)
        return chosen or (list(candidates[:1]) if forced == "required" else [])

    def _filled(self, tool: ToolView, text: str, answers: list[str]) -> Say | CallTool:
        today = self._conversation.today
        arguments = fill(tool, text, today)
        failures = 0
        while (missing := _missing(tool, arguments)) is not None:
            if not answers:
                return Say(phrasing.question(missing), about=tool.name)
            given, answers = answers[0], answers[1:]
            if phrasing.CANCEL.search(given):
                self.unused = answers
                return Say(phrasing.DROPPED)
            if self._is_other(tool, given):
                self.unused = [given, *answers]
                return Say(phrasing.DROPPED)
            value = answer(missing, given, tool, today)
            failures += value is None
            if failures >= ATTEMPTS:
                self.unused = answers
                return Say(f"Sorry, without the {missing.spoken_name} I cannot do that.")
            arguments = fill(tool, given, today) | arguments | ({} if value is None else {missing.name: value})
        self.unused = answers
        return CallTool(tool.name, {p.name: arguments[p.name] for p in tool.parameters if p.name in arguments})

    def _is_other(self, tool: ToolView, text: str) -> bool:
        best = self._intents.rank(text)[0]
        return best.tool is not tool and best.score >= OTHER_TOOL

    def _is_talk(self, text: str) -> bool:
        short = len(text.split()) <= 6
        lowered = text.lower()
        return (
            phrasing.is_greeting(text)
            or bool(phrasing.HELP.search(lowered))
            or (short and bool(phrasing.BYE.search(lowered)))
        )

    def _talk(self, text: str) -> str:
        lowered, tools = text.lower(), self._conversation.tools
        if phrasing.HELP.search(lowered):
            return phrasing.abilities(tools)
        if phrasing.is_greeting(text):
            return phrasing.greeting(self._conversation.name)
        if phrasing.BYE.search(lowered):
            return phrasing.GOODBYE
        if phrasing.THANKS.search(lowered):
            return phrasing.WELCOME
        return phrasing.sorry(tools)


def _fillable(tool: ToolView) -> bool:
    return all(p.kind in FILLABLE for p in tool.parameters if p.required)


def _missing(tool: ToolView, arguments: dict[str, Any]) -> Parameter | None:
    return next((p for p in tool.parameters if p.required and p.name not in arguments), None)


def _picked(tools: list[ToolView], text: str) -> list[ToolView]:
    for word, index in (("first", 0), ("second", 1), ("third", 2), ("last", -1)):
        if re.search(rf"\b{word}\b", text.lower()) and (index < len(tools)):
            return [tools[index]]
    return []


def _is_ours(text: str, questions: set[str]) -> bool:
    """Whether an agent's line, which an interruption may have cut short, is a question of ours."""
    line = text.strip()
    if line.startswith(phrasing.CHOICE_LEAD):
        return True
    return any(question == line or (len(line) > 7 and question.startswith(line)) for question in questions)
