"""Writes docs/check.md from the rules of `openrtc check`: `python docs/generate_check.py`."""

from __future__ import annotations

from pathlib import Path

from openrtc.check.calls import CALL_SECONDS
from openrtc.check.check import IMPORT_SECONDS
from openrtc.check.rules import CHECK_RULES, CheckRule, Level

PAGE = Path(__file__).with_name("check.md")
HEAD = f"""# Checking a package

`openrtc check` says what a package does well beside others in one process, and what it does not: a score card of bronze, silver and gold.

```console
$ openrtc check my-agent                              # an installed package
$ openrtc check . --level silver                      # the project in a folder
$ openrtc check dist/my_agent-1.0-py3-none-any.whl    # a wheel
```

A level is reached when each of its rules, and of those below it, is met or does not apply.
A rule that could not be checked here is not failed: the card says why, and the level waits for it.

| exit code | when |
|---|---|
| 0 | the level that `--level` asks for is reached; `bronze` by default |
| 1 | it is not |
| 2 | there is no such package, or it cannot be built or unpacked |

Of the settings, only `import_seconds` counts: a package is checked alone, whatever an operator allows or prefers.

`--json` prints the same card as one document: `distribution`, `version`, `level`, `asked`, `reached`, `note`, and `rules`, each with `name`, `level`, `verdict` (`passed`, `failed`, `not checked`, `does not apply`), `what`, `why`, and its `findings` with `what`, `fix` and `location`.

## How it is done

- A folder is built by its own build backend, as pip does it, and the wheel is unpacked into a throw-away folder; neither this environment nor the package's requirements are changed.
  Nothing is downloaded: what builds the project, and what it requires, has to be installed, and what is missing is named with the command that installs it.
  Where the backend is missing and the folder is installed as editable, that installation is checked.
- The build and the package's code run in processes of their own.
  These have no variable that looks like a secret, none of `OPENRTC_*`, `LIVEKIT_*` and `SSH_*`, an empty current folder, and a folder of their own for temporary files.
- The package is imported once, alone, within `--import-seconds` ({IMPORT_SECONDS:g} s); an import that is too slow or too large is measured once more, and the better one counts.
- Two calls of each agent are held in text, within {CALL_SECONDS:g} s, built as a worker builds them.
  A scripted model takes the place of each model that the agent names, so that no key is needed and no tool is called.
  Only what both calls did counts, and only in the package's own code: what a first call makes once for all is no harm.
- A plain LiveKit entrypoint or `AgentServer` makes its session in a room: its calls are not held, and its source is read.

What the code of an agent does in a tool, in a room, or with audio is not seen; `openrtc demo` and the tests of the package are for that.

## In CI

```yaml
- run: pip install -e . hatchling    # and openrtc-core, from where you have it
- uses: openrtc/openrtc/.github/actions/check@main
  with:
    package: .
    level: silver
```

The step shows the card, also in the job's summary, and fails where the level is not reached.

## The rules

"""
ENDING = "This page is generated from `openrtc.check.rules`.\n"


def page() -> str:
    """Return the whole page."""
    sections = [_section(level, [rule for rule in CHECK_RULES if rule.level is level]) for level in Level]
    return HEAD + "\n".join([*sections, ENDING])


def _section(level: Level, rules: list[CheckRule]) -> str:
    rows = [f"| `{rule.name}` | {rule.asks} | {rule.why} |" for rule in rules]
    return "\n".join([f"### {level.capitalize()}\n", "| rule | what has to hold | why |\n|---|---|---|", *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
