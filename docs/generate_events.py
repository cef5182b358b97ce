"""Writes docs/events.md and docs/events.schema.json from the events: `python docs/generate_events.py`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from openrtc.observe.events import EVENTS, Event
from openrtc.observe.schema import build_event_schema, describe_event, describe_fields

PAGE = Path(__file__).with_name("events.md")
SCHEMA = Path(__file__).with_name("events.schema.json")
HEAD = """# Events

Everything that happens in a worker is one stream of typed events.
`openrtc start --metrics-jsonl FILE` appends each of them to a file, one JSON object a line.
`/metrics` and `openrtc top` come from the same stream.
The JSON schema is [events.schema.json](events.schema.json).
Later versions may add kinds and fields: ignore what you do not know.

```json
{"event": "call_routed", "time": 1790000000.25, "pid": 4711, "job_id": "AJ_7y", "room": "support-call-1",
 "agent": "support", "distribution": "my-support-agent", "rule": "room.prefix",
 "reason": "the room name starts with 'support'", "ms": 0.12}
```

A call that goes well is `call_routed`, `call_started`, a `turn_completed` for each turn of the agent, a `tool_called` for each of its tools, a `usage` for each model when its session closes, `call_ended`.

## Version 2

`member_spoke` has no `said`: what a member of a cast says stands in its `turn_completed`, as that of any agent does.
`turn_completed` also comes for what an agent says by itself, such as its greeting: `answered` tells these apart.

This page is generated from `openrtc.observe.events`.
"""


def page() -> str:
    """Return the whole page."""
    definitions = build_event_schema()["$defs"]
    return "\n".join([HEAD, *(_section(kind, definitions[kind.kind()]["properties"]) for kind in EVENTS)])


def schema() -> str:
    """Return the schema's file."""
    return json.dumps(build_event_schema(), indent=2) + "\n"


def _section(kind: type[Event], properties: dict[str, Any]) -> str:
    rows = [f"| `{name}` | {_type(properties[name])} | {text} |" for name, text in describe_fields(kind).items()]
    return "\n".join(
        [
            f"## `{kind.kind()}`\n",
            f"{_split_sentences(describe_event(kind))}\n",
            "| field | type | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _split_sentences(text: str) -> str:
    """Return text with one sentence a line, so that a change shows as one line."""
    return re.sub(r"(?<=\.) (?=[A-Z`])", "\n", text)


def _type(described: dict[str, Any]) -> str:
    kind = described["type"]
    if kind == "array":
        return f"list of {described['items']['type']}s"
    if kind == "object" and (values := described["additionalProperties"].get("type")):
        return f"object of {values}s"
    return kind if isinstance(kind, str) else " or ".join(kind)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
