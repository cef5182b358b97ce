"""`ChatScreen`: prints a chat in text, word by word on a terminal and an utterance at a time elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from openrtc.conversation.happenings import Called, Failed, HandedOver, Happening
from openrtc.conversation.typed_lines import TypedLines

YOU = "you> "
INDENT = "  "


class ChatScreen:
    """Prints a chat.

    Args:
        agent: Name of the agent.
        lines: Where the caller types.
        console: Where to print.
    """

    def __init__(self, agent: str, lines: TypedLines, console: Console) -> None:
        self._agent = agent
        self._lines = lines
        self._console = console
        self._live = lines.on_terminal
        self._asked_at: float | None = None
        self._words = ""
        self._column = 0
        self._room_made = False

    def you(self, line: str) -> None:
        """The caller has sent a line; a terminal shows it already."""
        if not self._live:
            self._console.print(Text(f"{YOU}{line}"), soft_wrap=True)
        self._asked_at = time.monotonic()

    def note(self, line: str, style: str = "dim") -> None:
        """Print a line about the chat."""
        self._print(Text(line, style=style))

    def piece(self, text: str, who: str = "") -> None:
        """Take a piece of what the agent says, or of what ``who`` of several says."""
        self._agent = who or self._agent
        self._words += text
        if self._live:
            *whole, self._words = self._words.split(" ")
            for word in whole:
                self._word(word)

    def complete(self) -> None:
        """The agent has said what it had to say."""
        words, self._words = self._words.strip(), ""
        if self._live:
            for word in words.split():
                self._word(word)
            self._end_line()
        elif words:
            name = Text(f"{self._agent}> ")
            self._print(name + Text(" ".join(words.split())) + self._time())

    def happened(self, happening: Happening) -> None:
        """Print what happened besides words."""
        if self._column:
            self._end_line()
        if isinstance(happening, Called):
            self._print(Text(f"{INDENT}{happening.signature}", style="cyan"))
            self._print(_result(happening))
        elif isinstance(happening, HandedOver):
            self._agent = happening.to
            self._print(Text(f"{INDENT}{happening.to} takes over", style="magenta"))
        elif isinstance(happening, Failed):
            self._print(Text(f"{INDENT}{happening.what}", style="red"))

    def _word(self, word: str) -> None:
        if not word.strip() and not self._column:
            return
        if not self._column:
            self._make_room()
            self._put(f"{self._agent}> ", "bold green")
        elif self._column + len(word) + 1 > self._console.width:
            self._put("\n" + INDENT)
            self._column = len(INDENT)
        self._put(word + " ")

    def _put(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), end="", soft_wrap=True)
        self._column += len(text)

    def _end_line(self) -> None:
        if self._column:
            self._console.print(self._time(), soft_wrap=True)
            self._column = 0
            self._give_room_back()

    def _time(self) -> Text:
        if self._asked_at is None:
            return Text("")
        return Text(f"  {time.monotonic() - self._asked_at:.2f} s", style="dim")

    def _print(self, text: Text) -> None:
        self._make_room()
        self._console.print(text, soft_wrap=not self._live)
        self._give_room_back()

    def _make_room(self) -> None:
        if not self._room_made:
            self._lines.make_room()
            self._room_made = True

    def _give_room_back(self) -> None:
        self._lines.show_again()
        self._room_made = False


def _result(called: Called) -> Text:
    if called.failed:
        return Text(f"{INDENT}failed: {called.result}", style="red")
    return Text(f"{INDENT}= {called.result or 'nothing'}", style="dim cyan")
