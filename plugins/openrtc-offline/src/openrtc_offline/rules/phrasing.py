"""What the rule-based model says of itself: greetings, questions for arguments, apologies, abilities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from openrtc_offline.rules.words import split_words
from openrtc_offline.toolbox import Parameter, ToolView

GOODBYE = "Thank you for calling. Goodbye."
WELCOME = "You are welcome. Is there anything else?"
DROPPED = "All right. Is there anything else?"
ANYTHING_ELSE = "Is there anything else that I can do for you?"
CHOICE_LEAD = "Do you want me to "

GREETING_WORDS = frozenset("hello hi hey good morning afternoon evening day there greetings can you hear me".split())
POLITE_WORDS = frozenset("how are you today doing nice to meet i'm i am fine".split())
THANKS = re.compile(r"\b(?:thanks|thank you|thank)\b")
BYE = re.compile(r"\b(?:bye|goodbye|good bye|see you|that is all|that's all|that's it|nothing else|have a nice day)\b")
HELP = re.compile(
    r"\bwhat (?:else )?(?:can|could|do) you (?:do|help|offer)|\bhow (?:can|could) you help|^(?:can you )?help(?: me)?$"
)
CANCEL = re.compile(r"\b(?:never ?mind|cancel that|forget (?:it|that)|stop|nothing)\b")
VERBS = frozenset(
    "add answer arrange ask book build buy calculate call cancel change check choose close compute confirm connect "
    "convert count create deliver describe draw end escalate estimate explain fetch file fill find fix forward get "
    "give hand handle hang help identify inform issue keep leave list locate look make mark measure move offer open "
    "order pay pick place plan play post print process provide put quote read recommend record refund register remind "
    "remove repeat report request reschedule reserve reset return roll save say schedule search sell send set show "
    "start stop store submit suggest summarise summarize switch take talk teach tell track transfer translate turn "
    "update use verify wish write".split()
)


def build_greeting(name: str) -> str:
    """Return a greeting that names the agent."""
    return f"Hello, this is {name}. How can I help you?"


def build_question(parameter: Parameter) -> str:
    """Return a question for one argument."""
    name = parameter.spoken_name
    if parameter.choices:
        return f"Which {name}: {join_options(str(choice) for choice in parameter.choices)}?"
    if parameter.kind == "boolean":
        return f"And {name}: yes or no?"
    if parameter.kind == "integer" and (name == "people" or name.endswith("s")):
        return f"How many {name}?"
    return f"What is the {name}, please?"


def join_options(options: Iterable[str]) -> str:
    """Return options as one says them: ``small, medium or large``."""
    listed = [option.replace("_", " ") for option in options]
    return ", ".join(listed[:-1]) + f" or {listed[-1]}" if len(listed) > 1 else "".join(listed)


def describe_ability(tool: ToolView) -> str:
    """Return what a tool does as a verb phrase where its docstring starts with a verb, else as it stands."""
    words = tool.summary.split()
    first = words[0].lower()
    base = first if first in VERBS else _find_base_form(first)
    return " ".join([base or first, *words[1:]]) if base else tool.summary


def describe_abilities(tools: Sequence[ToolView]) -> str:
    """Return one sentence about what an agent can do."""
    if not tools:
        return "I can only greet you: I have no tools."
    can = [describe_ability(tool) for tool in tools if _starts_with_verb(tool)]
    also = [tool.summary for tool in tools if not _starts_with_verb(tool)]
    sentences = [f"I can {join_options(can)}."] if can else []
    return " ".join(sentences + ([f"I can help with: {join_options(also)}."] if also else []))


def build_apology(tools: Sequence[ToolView]) -> str:
    """Return an apology that says what the agent can do."""
    return f"Sorry, I did not understand that. {describe_abilities(tools)}"


def build_choice(tools: Sequence[ToolView]) -> str:
    """Return a question that lets the caller choose between tools that fit equally well."""
    return f"{CHOICE_LEAD}{join_options(describe_ability(tool) for tool in tools)}?"


def is_greeting(text: str) -> bool:
    """Whether ``text`` says hello and nothing else."""
    said = split_words(text)
    greets = {"hello", "hi", "hey", "greetings"} & set(said) or said[:1] == ["good"]
    if " ".join(said) in ("how are you", "who are you"):
        return True
    return bool(greets) and set(said) <= GREETING_WORDS | POLITE_WORDS


def _starts_with_verb(tool: ToolView) -> bool:
    first = tool.summary.split()[0].lower()
    return first in VERBS or _find_base_form(first) is not None


def _find_base_form(word: str) -> str | None:
    candidates = (word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y")
    return next((base for base in candidates if base != word and base in VERBS), None)
