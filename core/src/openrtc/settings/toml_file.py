"""A TOML file that knows on which line its keys stand.

`tomllib` keeps no lines, so they are looked for in the text. A key in a form that this does not know, such as an inline
table, is said to stand in the file; nothing else depends on it.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openrtc.errors import OpenRTCError

HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+\s*(?:#.*)?$")
ASSIGNMENT = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


@dataclass(frozen=True)
class TomlFile:
    """A parsed TOML file.

    Args:
        path: Where it is.
        text: What it holds.
        content: The parsed content.
    """

    path: Path
    text: str
    content: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> TomlFile:
        """Read ``path``; raises `OpenRTCError` with the line of what is wrong in it."""
        try:
            text = path.read_bytes().decode("utf-8-sig")
            return cls(path, text, tomllib.loads(text))
        except OSError as error:
            reason = error.strerror or str(error)
            raise OpenRTCError(f"cannot be read: {reason}", origin=str(path), fix="name a readable file") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise OpenRTCError("is not UTF-8", origin=f"{path}:{line}", fix="save it as UTF-8 text") from None
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(path, str(error)) from None

    def origin(self, *keys: str) -> str:
        """Return ``file:line`` of a key such as ``("worker", "port")``, or the file when the line is not found."""
        line = self._line(keys)
        return f"{self.path}:{line}" if line else str(self.path)

    def _line(self, keys: tuple[str, ...]) -> int | None:
        table: tuple[str, ...] = ()
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := HEADER.match(line):
                table = _parts(header[1])
                here = table
            elif assignment := ASSIGNMENT.match(line):
                here = table + _parts(assignment[1])
            else:
                continue
            if here[: len(keys)] == keys:
                return number
        return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _syntax_error(path: Path, message: str) -> OpenRTCError:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    origin = f"{path}:{found[1]}" if found else str(path)
    reason = message[: found.start()] if found else message
    return OpenRTCError(f"not valid TOML: {reason}", origin=origin, fix="strings stand in quotes, tables in [brackets]")
