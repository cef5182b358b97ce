"""How well the offline models understand spoken questions to invented agents.

Speaks each question with each voice, recognises it with the agent's vocabulary, and asks the rule-based model what
to do. Prints the word error rate, the share of right tools, CPU per second of speech, and the time from the end of
speech to the transcript. Run it on an otherwise idle machine::

    python benchmarks/offline_accuracy.py --voice espeak/en-us --voice flite/slt
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass, field
from datetime import date

from livekit import rtc
from livekit.agents import Agent, function_tool

from openrtc.model.provider import ProviderContext
from openrtc_offline.child_pool import ChildPool
from openrtc_offline.provider import OfflineProvider
from openrtc_offline.recognition.stt import to_pcm
from openrtc_offline.recognition.vocabulary import CurrentVocabulary
from openrtc_offline.rules.conversation import CallTool, Conversation, ConversationItem
from openrtc_offline.rules.words import count_edits
from openrtc_offline.toolbox import describe_tools

NOTHING = ""


class Library(Agent):
    """A lending library."""

    @function_tool
    async def find_book(self, title: str) -> str:
        """Search the catalogue for a book by its title."""
        return title

    @function_tool
    async def renew_loan(self, card_number: str) -> str:
        """Renew the loan of all borrowed books. Needs the number of the library card."""
        return card_number

    @function_tool
    async def late_fees(self) -> str:
        """Returns the late fees that the reader owes."""
        return ""


class Airport(Agent):
    """An airport's information line."""

    @function_tool
    async def flight_status(self, flight_number: str) -> str:
        """Look up whether a flight is delayed and from which gate it leaves."""
        return flight_number

    @function_tool
    async def parking_price(self, days: int) -> str:
        """Calculate the price of parking for a number of days."""
        return str(days)

    @function_tool
    async def lost_luggage(self) -> str:
        """Report a lost suitcase or bag."""
        return ""


class Oracle(Agent):
    """One tool, as small as an agent can be."""

    @function_tool
    async def magic_number(self) -> str:
        """Tell the magic number of this week."""
        return "7"


class Pizzeria(Agent):
    """A pizza delivery."""

    @function_tool
    async def order_pizza(self, size: str, topping: str) -> str:
        """Order a pizza with a topping in a size."""
        return f"{size} {topping}"

    @function_tool
    async def delivery_time(self) -> str:
        """Say how long the delivery takes."""
        return ""

    @function_tool
    async def todays_special(self) -> str:
        """Describe the special of today."""
        return ""


class Energy(Agent):
    """A supplier of electricity."""

    @function_tool
    async def report_outage(self, street: str) -> str:
        """Report a power outage in a street."""
        return street

    @function_tool
    async def meter_reading(self, reading: int) -> str:
        """Submit the reading of an electricity meter."""
        return str(reading)

    @function_tool
    async def explain_bill(self) -> str:
        """Explain the latest bill."""
        return ""


QUESTIONS: dict[type[Agent], tuple[tuple[str, str], ...]] = {
    Library: (
        ("do you have a book about gardening", "find_book"),
        ("i would like to renew my loan", "renew_loan"),
        ("how much are my late fees", "late_fees"),
        ("can you search for a book please", "find_book"),
        ("please renew my books my card number is five five one two", "renew_loan"),
        ("my neighbor has a very loud dog", NOTHING),
    ),
    Airport: (
        ("is my flight delayed", "flight_status"),
        ("how much is parking for three days", "parking_price"),
        ("i lost my suitcase", "lost_luggage"),
        ("from which gate does my flight leave", "flight_status"),
        ("what is the price of parking", "parking_price"),
        ("good morning", NOTHING),
    ),
    Oracle: (
        ("what is the magic number of this week", "magic_number"),
        ("can you tell me the magic number", "magic_number"),
        ("tell me this week's magic number please", "magic_number"),
        ("hello what is the magic number", "magic_number"),
        ("i would like to know the magic number", "magic_number"),
        ("the children were playing in the garden", NOTHING),
    ),
    Pizzeria: (
        ("i want to order a large pizza with mushrooms", "order_pizza"),
        ("how long does the delivery take", "delivery_time"),
        ("what is the special today", "todays_special"),
        ("can i order a pizza", "order_pizza"),
        ("when will my delivery be here", "delivery_time"),
        ("thank you goodbye", NOTHING),
    ),
    Energy: (
        ("there is a power outage in my street", "report_outage"),
        ("i want to submit my meter reading", "meter_reading"),
        ("can you explain my bill", "explain_bill"),
        ("why is my bill so high", "explain_bill"),
        ("the reading of my meter is four two seven", "meter_reading"),
        ("what can you do for me", NOTHING),
    ),
}


@dataclass
class Tally:
    """What was measured for one voice."""

    words: int = 0
    errors: int = 0
    turns: int = 0
    right: int = 0
    speech_seconds: float = 0.0
    cpu_seconds: float = 0.0
    delays: list[float] = field(default_factory=list)

    def row(self, voice: str) -> str:
        """Return one line of the table."""
        delays = sorted(self.delays)
        p95 = delays[int(0.95 * (len(delays) - 1))]
        return (
            f"| {voice} | {100 * self.errors / self.words:.1f} % | {self.right}/{self.turns} | "
            f"{self.cpu_seconds / self.speech_seconds:.3f} | {statistics.median(delays):.2f} / {p95:.2f} s |"
        )


async def measure(voice: str, provider: OfflineProvider, verbose: bool) -> Tally:
    """Ask every agent its questions in one voice."""
    tally = Tally()
    for kind, questions in QUESTIONS.items():
        agent = kind(instructions="You answer calls.")
        speech = provider.tts(voice, ProviderContext(agent_name=kind.__name__, agent=agent))
        vocabulary = CurrentVocabulary(agent, kind.__name__)().to_json()
        await provider.recognizers.ask({"vocabulary": vocabulary})
        for said, wanted in questions:
            frame = await speech.synthesize(said).collect()
            heard = await listen(provider.recognizers, vocabulary, frame, tally)
            tally.words += len(said.split())
            tally.errors += word_errors(said, heard)
            got = tool_for(agent, heard)
            tally.turns += 1
            tally.right += got == wanted
            if verbose:
                print(f"{'ok ' if got == wanted else 'BAD'} {voice:16} {said!r} heard as {heard!r}: {got or 'no tool'}")
    return tally


async def listen(recognizers: ChildPool, vocabulary: str, frame: rtc.AudioFrame, tally: Tally) -> str:
    """Return what is heard, and count what it cost."""
    started = time.perf_counter()
    answer, _ = await recognizers.ask({"vocabulary": vocabulary}, to_pcm(frame))
    tally.delays.append(time.perf_counter() - started)
    tally.speech_seconds += frame.duration
    tally.cpu_seconds += answer["cpu_seconds"]
    return str(answer["text"])


def tool_for(agent: Agent, heard: str) -> str:
    """Return the tool that is called, or whose argument is asked for."""
    items = (ConversationItem("user", heard),)
    step = Conversation(name="agent", tools=describe_tools(agent.tools), items=items, today=date.today()).next_step()
    return step.name if isinstance(step, CallTool) else step.about


def word_errors(said: str, heard: str) -> int:
    """Return how many words must be changed, added or left out."""
    codes: dict[str, str] = {}
    as_letters = [
        "".join(codes.setdefault(word, chr(0x4E00 + len(codes))) for word in text.replace("'s", " 's").split())
        for text in (said, heard)
    ]
    return count_edits(*as_letters)


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", action="append", help="as after offline:, for example flite/slt or espeak/en-us")
    parser.add_argument("--verbose", action="store_true", help="print every question")
    options = parser.parse_args()
    provider = OfflineProvider()
    try:
        print("| voice | word errors | right tool | CPU s per s of speech | transcript after, median / p95 |")
        print("|---|---|---|---|---|")
        for voice in options.voice or ["espeak/en-us"]:
            print((await measure(voice, provider, options.verbose)).row(voice), flush=True)
    finally:
        provider.close()


if __name__ == "__main__":
    asyncio.run(main())
