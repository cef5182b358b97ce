"""What an agent is about, in words: the phrases that its callers are likely to say, taken from its own tools."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from openrtc_offline.current_agent import CurrentAgent
from openrtc_offline.numerals import spell_numbers
from openrtc_offline.toolbox import Parameter, ToolView, describe_tools, split_identifier

LONGEST_PHRASE = 14
"""Words; what is longer is a description, which nobody says in one breath."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The phrases of one agent; plain data, so that it can cross to the recogniser's process.

    Args:
        examples: Whole sentences that a caller may say.
        actions: Verb phrases such as ``book a table``, from docstrings and names of tools.
        things: Noun phrases such as ``the secret word of the day``.
        values: Values that an argument can take, such as ``express``.
        numbered: What is said in digits, such as ``order number``.
        counted: What is said as a count, such as ``people``.
    """

    examples: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    numbered: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    key: str = field(init=False, default="")

    def __post_init__(self) -> None:
        text = json.dumps(asdict(self), sort_keys=True)
        object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest()[:16])

    def to_json(self) -> str:
        """Return the vocabulary as JSON, as the recogniser's process takes it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read back what `to_json` made."""
        value = json.loads(text)
        value.pop("key")
        return cls(**{name: tuple(phrases) for name, phrases in value.items()})


def build_vocabulary(tools: Iterable[ToolView], examples: Iterable[str] = (), names: Iterable[str] = ()) -> Vocabulary:
    """Collect the phrases of an agent.

    Args:
        tools: Its function tools.
        examples: Sentences that a caller may say to it.
        names: The agent's own names, by which a caller may address it.
    """
    tools = tuple(tools)
    parameters = [parameter for tool in tools for parameter in tool.parameters]
    sentences = [normalize_words(s) for tool in tools for s in re.split(r"[.!?;:,()\n]+", tool.description)]
    actions = [tool.spoken_name for tool in tools] + sentences
    return Vocabulary(
        examples=_keep_unique(normalize_words(example) for example in examples),
        actions=_keep_unique(actions),
        things=_keep_unique([*(_strip_verb(action) for action in actions), *map(split_identifier, names)]),
        values=_keep_unique(
            normalize_words(str(value)) for p in parameters for value in p.choices if not isinstance(value, bool)
        ),
        numbered=_keep_unique(p.spoken_name for p in parameters if _is_numbered(p)),
        counted=_keep_unique(p.spoken_name for p in parameters if p.kind in ("integer", "number")),
    )


class CurrentVocabulary:
    """Callable that returns the vocabulary of the agent that listens now; built again only when its tools change.

    Args:
        agent: The agent that the session starts with, or None.
        name: Its name.
        examples: Sentences that a caller may say to it.
    """

    def __init__(self, agent: Any, name: str, examples: tuple[str, ...] = ()) -> None:
        self._current = CurrentAgent(agent, name)
        self._examples = examples
        self._built: dict[tuple[str, ...], Vocabulary] = {}

    def __call__(self) -> Vocabulary:
        """Return the vocabulary that is likely now."""
        tools = self._current.tools
        key = tuple(str(tool.id) for tool in tools)
        if key not in self._built:
            self._built[key] = build_vocabulary(describe_tools(tools), self._examples, [self._current.name])
        return self._built[key]


def normalize_words(text: str) -> str:
    """Return ``text`` as the recogniser writes it: lower-case words, numbers spelled out, no punctuation."""
    plain = re.sub(r"[’`]", "'", text.lower())
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)?", spell_numbers(plain)))


def _strip_verb(action: str) -> str:
    return action.partition(" ")[2]


def _is_numbered(parameter: Parameter) -> bool:
    tail = parameter.spoken_name.split()[-1:]
    return parameter.kind != "boolean" and tail in (["number"], ["id"], ["code"], ["digits"], ["pin"], ["reference"])


def _keep_unique(phrases: Iterable[str]) -> tuple[str, ...]:
    short = (" ".join(phrase.split()[:LONGEST_PHRASE]) for phrase in phrases)
    return tuple(dict.fromkeys(phrase for phrase in short if phrase))
