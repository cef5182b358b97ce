"""Writes docs/hooks.md from the hook specifications: `python docs/generate_hooks.py`."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import FunctionType

from openrtc.hooks import specs

PAGE = Path(__file__).with_name("hooks.md")
HEAD = """# Hooks

A plugin is a module (or object) whose functions carry `@hookimpl` and the name of a hook. A package that brings agents
names it in the entry point group `openrtc.agents`, any other in `openrtc.plugins`:

```toml
[project.entry-points."openrtc.plugins"]
vip = "my_vip_router.router"
```

An implementation takes any of the hook's arguments, by name. It may be called in any order relative to other plugins'
unless it says `@hookimpl(tryfirst=True)` or `trylast=True`. What it raises is logged in one line with the name of its
distribution; the other implementations run, and the calls go on. Where a hook may be sync or async, a sync one runs in
a thread, so that it cannot block the calls. All arguments are frozen values without LiveKit objects: test your plugin
with literals.

This page is generated from `openrtc.hooks.specs`.
"""


def page() -> str:
    """Return the whole page."""
    hooks = [value for name, value in vars(specs).items() if name.startswith("openrtc_")]
    return "\n".join([HEAD, *(_section(hook) for hook in hooks)])


def _section(hook: FunctionType) -> str:
    signature = ", ".join(inspect.signature(hook).parameters)
    text, _, example = inspect.getdoc(hook).partition("Example::")  # type: ignore[union-attr]
    code = inspect.cleandoc(example)
    return f"## `{hook.__name__}({signature})`\n\n{text.strip()}\n\n```python\n{code}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
