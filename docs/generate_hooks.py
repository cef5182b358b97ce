"""Writes docs/hooks.md from the hook specifications: `python docs/generate_hooks.py`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import FunctionType

from openrtc.model import hookspecs as specs

PAGE = Path(__file__).with_name("hooks.md")
HEAD = """# Hooks

A plugin is a module (or object) whose functions carry `@hookimpl` and the name of a hook.
A package that brings agents names it in the entry point group `openrtc.agents`, any other in `openrtc.plugins`:

```toml
[project.entry-points."openrtc.plugins"]
vip = "my_vip_router.router"
```

An implementation takes any of the hook's arguments, by name.
It may be called in any order relative to other plugins' unless it says `@hookimpl(tryfirst=True)` or `trylast=True`.
What it raises is logged in one line with the name of its distribution.
The other implementations run, and the calls go on.
Where a hook may be sync or async, a sync one runs in a thread, so that it cannot block the calls.
It is a plain function: `functools.partial`, `functools.cache`, objects with `__call__`, compiled functions and positional-only arguments are told when the plugin is loaded, since pluggy would pass them over.

`@hookimpl(wrapper=True)` makes a generator of it that yields once, as in pluggy: what stands before the `yield` runs before the implementations, and it is given the list of what they returned, without None.
The list that it returns counts instead; one that returns nothing only watches.
`openrtc_route` is wrapped for each router that is asked, and `openrtc_agents` never, since each package's agents are its own.
A wrapper that fails or takes too long is logged like any other, and loses nothing: what it was given counts.

```python
@hookimpl(wrapper=True)
def openrtc_session_options(call):
    options = yield
    return [{**one, "user_away_timeout": 30} for one in options]
```

## Ending a call

`call.end(reason)` ends a call as a [limit](operating.md#calls-that-are-ended-politely) of its agent does: what is being said is broken off for a sentence, then the call ends within 15 s.
It may be called in each hook that is given a call, later by whoever has kept the call, in any thread, and several times; it does not wait.
`reason` stands in the log and in `call_ended`, so let it name your package; `goodbye=` is another sentence, or an empty one.

```python
@hookimpl
def openrtc_session(call, session):
    @session.on("conversation_item_added")
    def count(event):
        if len(session.history.items) > 200:
            call.end("my-plugin: 200 messages are enough")
```

All arguments are frozen values without LiveKit objects, but for the session of `openrtc_session`: test your plugin with literals.

This page is generated from `openrtc.model.hookspecs`.
"""


def page() -> str:
    """Return the whole page."""
    hooks = [value for name, value in vars(specs).items() if name.startswith("openrtc_")]
    return "\n".join([HEAD, *(_section(hook) for hook in hooks)])


def _section(hook: FunctionType) -> str:
    signature = ", ".join(inspect.signature(hook).parameters)
    text, _, example = inspect.getdoc(hook).partition("Example::")  # type: ignore[union-attr]
    code = inspect.cleandoc(example)
    prose = "\n\n".join(_split_sentences(paragraph) for paragraph in text.strip().split("\n\n"))
    return f"## `{hook.__name__}({signature})`\n\n{prose}\n\n```python\n{code}\n```\n"


def _split_sentences(text: str) -> str:
    """Return a paragraph with one sentence a line, so that a change shows as one line."""
    return re.sub(r"(?<=\.) (?=[A-Z`])", "\n", " ".join(text.split()))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
