"""What a scripted caller asks an agent: its examples, else what its tools are said to do, else hello."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

HELLO = "hello"
MOST = 2
_MOST_WORDS = 14


def questions_for(examples: Sequence[str], tools: Iterable[Any], most: int = MOST) -> tuple[str, ...]:
    """Return what to ask an agent, at least one sentence.

    Args:
        examples: The sentences of the agent's `AgentSpec`.
        tools: The agent's function tools.
        most: How many questions at most.
    """
    given = tuple(example.strip() for example in examples if example.strip())
    if given:
        return _far_apart(given, most)
    # A question about a tool that needs nothing can be answered at once.
    ordered = sorted((tool for tool in tools if _name(tool)), key=lambda tool: bool(_required(tool)))
    return tuple(_question(tool) for tool in ordered[:most]) or (HELLO,)


def _far_apart(sentences: Sequence[str], most: int) -> tuple[str, ...]:
    chosen = [sentences[0]]
    rest = list(sentences[1:])
    while rest and len(chosen) < most:
        known = set().union(*(_words(sentence) for sentence in chosen))
        chosen.append(min(rest, key=lambda sentence: len(_words(sentence) & known)))
        rest.remove(chosen[-1])
    return tuple(chosen)


def _question(tool: Any) -> str:
    sentence = re.split(r"[.:\n]", _description(tool).strip(), maxsplit=1)[0].strip()
    words = sentence.split()
    if not words or len(words) > _MOST_WORDS:
        return _name(tool).replace("_", " ")
    return " ".join([words[0][:1].lower() + words[0][1:], *words[1:]])


def _words(sentence: str) -> set[str]:
    return set(re.findall(r"[a-z']+", sentence.lower()))


def _name(tool: Any) -> str:
    return str(getattr(getattr(tool, "info", None), "name", "") or "")


def _description(tool: Any) -> str:
    info = tool.info
    described = getattr(info, "description", None) or getattr(info, "raw_schema", {}).get("description")
    return str(described or "")


def _required(tool: Any) -> Sequence[str]:
    from livekit.agents.llm.utils import build_legacy_openai_schema

    schema = getattr(tool.info, "raw_schema", None) or build_legacy_openai_schema(tool)["function"]
    required: Sequence[str] = schema.get("parameters", {}).get("required", ())
    return required
