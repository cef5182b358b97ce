"""`ChatScreen`: prints a chat in text, word by word on a terminal and an utterance at a time elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from openrtc.conversation.console.terminal_input import TerminalInput
from openrtc.conversation.session_events import Failed, HandedOver, SessionEvent, ToolUsed

PROMPT = "you> "
_INDENT = "  "


class ChatScreen:
    """Prints a chat.

    Args:
        agent: Name of the agent.
        terminal: Where the caller types.
        console: Where to print.
    """

    def __init__(self, agent: str, terminal: TerminalInput, console: Console) -> None:
        self._agent = agent
        self._terminal = terminal
        self._console = console
        self._live = terminal.on_terminal
        self._asked_at: float | None = None
        self._words = ""
        self._column = 0

    def show_question(self, line: str) -> None:
        """The caller has sent a line; a terminal shows it already."""
        if not self._live:
            self._console.print(Text(f"{PROMPT}{line}"), soft_wrap=True)
        self._asked_at = time.monotonic()

    def show_note(self, line: str) -> None:
        """Print a line about the chat."""
        self._end_line()
        self._print(Text(line, style="dim"))

    def add_words(self, text: str, who: str = "") -> None:
        """Take a piece of what the agent says, or of what ``who`` of several says."""
        self._agent = who or self._agent
        self._words += text
        if self._live:
            *whole, self._words = self._words.split(" ")
            for word in whole:
                self._print_word(word)

    def end_words(self) -> None:
        """The agent has said what it had to say."""
        words, self._words = self._words.split(), ""
        if self._live:
            for word in words:
                self._print_word(word)
            self._end_line()
        elif words:
            self._print(Text(f"{self._agent}> {' '.join(words)}") + self._format_latency())

    def show_event(self, event: SessionEvent) -> None:
        """Print what happened besides words."""
        self._end_line()
        if isinstance(event, ToolUsed):
            self._print(Text(f"{_INDENT}{event.signature}", style="cyan"))
            self._print(_format_result(event))
        elif isinstance(event, HandedOver):
            self._agent = event.to
            self._print(Text(f"{_INDENT}{event.to} takes over", style="magenta"))
        elif isinstance(event, Failed):
            self._print(Text(f"{_INDENT}{event.what}", style="red"))

    def _print_word(self, word: str) -> None:
        if not word.strip() and not self._column:
            return
        if not self._column:
            self._terminal.hide_prompt()
            self._write(f"{self._agent}> ", "bold green")
        elif self._column + len(word) + 1 > self._console.width:
            self._write("\n" + _INDENT)
            self._column = len(_INDENT)
        self._write(word + " ")

    def _write(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), end="", soft_wrap=True)
        self._column += len(text)

    def _end_line(self) -> None:
        if self._column:
            self._console.print(self._format_latency(), soft_wrap=True)
            self._column = 0
            self._terminal.show_prompt()

    def _format_latency(self) -> Text:
        if self._asked_at is None:
            return Text("")
        return Text(f"  {time.monotonic() - self._asked_at:.2f} s", style="dim")

    def _print(self, text: Text) -> None:
        with self._terminal.without_prompt():
            self._console.print(text, soft_wrap=not self._live)


def _format_result(called: ToolUsed) -> Text:
    if called.failed:
        return Text(f"{_INDENT}failed: {called.result}", style="red")
    return Text(f"{_INDENT}= {called.result or 'nothing'}", style="dim cyan")
