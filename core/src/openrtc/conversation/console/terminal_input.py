"""`TerminalInput`: what somebody types or pipes in, read without blocking the loop.

Readline edits the line; prompt_toolkit, which can also print above a prompt, would be a dependency for these few lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from openrtc.posix import read_terminal_settings, restore_terminal

_CHUNK = 65_536
"""Bytes that are read from a pipe at once: what a pipe of Linux holds."""


class TerminalInput:
    """Lines from a terminal, with line editing, or from a pipe.

    Args:
        prompt: What a terminal shows when it waits for a line.
    """

    def __init__(self, prompt: str) -> None:
        self.on_terminal = _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
        self._waiting = False
        self._reading = False
        self._prompt = prompt
        self._pending = b""
        self._at_end = sys.stdin is None
        self._readline = _import_readline() if self.on_terminal else None
        self._terminal = read_terminal_settings(sys.stdin.fileno()) if self.on_terminal else None

    async def read(self) -> str | None:
        """Return the next line, or None at the end of the input."""
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str | None] = loop.create_future()
        read = self._read_terminal if self.on_terminal else self._read_pipe

        def work() -> None:
            self._reading = True
            text = read()
            self._reading = False
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, line, text)

        self._waiting = True
        # A daemon, because nothing can wake a thread that waits for a key.
        threading.Thread(target=work, name="terminal-input", daemon=True).start()
        try:
            return await line
        finally:
            self._waiting = False

    def hide_prompt(self) -> None:
        """Clear the line that shows the prompt, so that something else can be printed there."""
        if self.on_terminal and self._waiting:
            sys.stdout.write("\r\x1b[K")
            sys.stdout.flush()

    def show_prompt(self) -> None:
        """Show the prompt again, with what has been typed."""
        if self.on_terminal and self._waiting:
            typed = self._readline.get_line_buffer() if self._readline else ""
            sys.stdout.write(f"{self._prompt}{typed}")
            sys.stdout.flush()

    @contextlib.contextmanager
    def without_prompt(self) -> Iterator[None]:
        """Hide the prompt inside a ``with`` block, in which something is printed."""
        self.hide_prompt()
        yield
        self.show_prompt()

    def restore(self) -> None:
        """Give the terminal back as it was, also when a line was being typed."""
        if self.on_terminal and self._reading:
            _end_line()
        if self._terminal is not None:
            # The thread that waits in readline never comes back to undo what readline has set.
            restore_terminal(sys.stdin.fileno(), self._terminal)

    def _read_terminal(self) -> str | None:
        try:
            return input(self._prompt)
        except (EOFError, OSError):  # Ctrl-D, or the terminal has closed
            _end_line()
            return None

    def _read_pipe(self) -> str | None:
        # os.read, because a thread that waits in sys.stdin holds its lock, on which the interpreter's exit would fail.
        while b"\n" not in self._pending and not self._at_end:
            chunk = os.read(sys.stdin.fileno(), _CHUNK)
            self._at_end = not chunk
            self._pending += chunk
        if not self._pending:
            return None
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")


def _end_line() -> None:
    try:
        print()
    except OSError:  # the terminal has closed: what is left in the buffer would be an error at Python's exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _import_readline() -> Any:
    try:
        import readline  # `input` edits lines with it once it is imported
    except ImportError:  # Windows has none
        return None
    return readline


def _resolve(future: asyncio.Future[str | None], text: str | None) -> None:
    if not future.done():
        future.set_result(text)
