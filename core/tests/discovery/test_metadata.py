from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.model.status import State
from openrtc.settings.config import Config

if TYPE_CHECKING:
    from conftest import Site


def only(site: Site) -> Entry:
    (entry,) = site.entries()
    return entry


def test_a_body_of_any_size_and_encoding_is_not_read(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"}, metadata=b"Name: my-agent\r\nVersion: 1\r\n\r\n" + b"\xff" * 3_000_000)
    assert (only(site).state, only(site).version) == (State.INSTALLED, "1")


def test_headers_over_several_lines_are_one(site: Site) -> None:
    summary, others = "Summary: one\n   two\n\tthree\n", "Description: x\n        |\n  y\nRequires-Dist:\n  gone-lib\n"
    site.add("my-agent", agents={"a": "m:C"}, metadata=f"Name: my-agent\nVersion: 1\n{summary}{others}")
    assert only(site).summary == "one two three"
    assert only(site).reason == "needs gone-lib, which is not installed"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("Name: big\nVersion: 1\nSummary: " + "x" * 1_100_000, "more than 1,000,000 bytes of headers"),
        ("Name: big\nVersion: 1\n" + "Requires-Dist: a\n" * 6000, "6,000 requirements"),
    ],
)
def test_metadata_that_is_too_much_is_broken_with_its_place(site: Site, metadata: str, words: str) -> None:
    info = site.add("big", agents={"a": "m:C"}, metadata=metadata)
    entry = only(site)
    assert entry.state is State.BROKEN
    assert words in (entry.reason or "")
    assert (entry.location or "").startswith(str(info / "METADATA"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[openrtc.agents]\n" + "".join(f"a{n} = m:C\n" for n in range(200_000)), "more than 1,000 agents"),
        ("[openrtc.agents]\na = m:C\n#" + "x" * 1_000_000, "more than 1,000,000 bytes"),
        ("[openrtc.plugins]\n" + "".join(f"a{n} = m\n" for n in range(1001)), "more than 1,000 agents"),
        ("[openrtc.agents]\na = m:C\n#" + "é" * 500_000, "more than 1,000,000 bytes"),
    ],
)
def test_more_entry_points_than_anybody_has_are_one_broken_row(site: Site, text: str, words: str) -> None:
    site.add("big", entry_points=text)
    entry = only(site)
    assert (entry.name, entry.state) == ("big", State.BROKEN)
    assert words in (entry.reason or "")
    assert entry.fix


def test_a_thousand_are_all_listed(site: Site) -> None:
    site.add("big", agents={f"a{number}": "m:C" for number in range(1000)})
    assert {entry.state for entry in site.entries()} == {State.INSTALLED}
    assert len(site.entries()) == 1000


HUGE = "9" * 5000
COSTLY: dict[str, dict[str, Any]] = {
    "digits": {"version": "1.0", "metadata": f"Name: my-agent\nVersion: {HUGE}\nRequires-Dist: lib>={HUGE}\n"},
    "a long release": {"requires": ["lib>=" + ".".join(["1"] * 100_000)]},
    "many clauses": {"requires": ["lib" + ">=1 " * 200_000 + "!"]},
    "short clauses": {"requires": ["lib" + ">=1 " * 200 + "!"]},
    "white space": {"requires": ["lib" + " " * 500_000 + ">", "lib>=1" + " ," * 300 + "!"]},
    "markers": {"requires": ["lib; " + "(" * 5000 + "os_name=='x'" + ")" * 5000]},
    "a long marker": {"requires": ["lib; " + "os_name=='x' or " * 50_000 + "os_name=='y'"]},
    "extras": {"requires": [f"lib[{','.join(f'e{n}' for n in range(50_000))}]"]},
    "a name": {"requires": ["a" * 500_000 + "!", "a-" * 400 + "!"]},
    "a link": {"requires": ["lib @ " + "x" * 500_000, "lib @ " + "x:/" * 300]},
    "thousands": {"requires": [f"lib!={n}; python_version > '3'" for n in range(4900)]},
    "a chain": {"requires": ["my-agent[e0]", *(f'my-agent[e{n + 1}]; extra == "e{n}"' for n in range(4900))]},
    "a python": {"metadata": f"Name: my-agent\nVersion: 1\nRequires-Python: {'>=3 ' * 100_000}!\n"},
    "a summary": {"metadata": "Name: my-agent\nVersion: 1\nSummary: " + "\x1b " * 400_000 + "\n"},
    "a value": {"entry_points": "[openrtc.agents]\na = m" + " " * 900_000 + "!\n"},
    "dots": {"entry_points": "[openrtc.agents]\na = " + "a." * 400_000 + "\n"},
    "a group": {"entry_points": f"[openrtc{'-' * 900_000}]\na = m:C\n[openrtc.agents]\na = m:C\n"},
    "headers": {"metadata": "Name: my-agent\nVersion: 1\n" + "X:\n" * 300_000},
    "continued": {"metadata": "Name: my-agent\nVersion: 1\nX: a\n" + " b\n" * 300_000},
}
"""What cost seconds, ended in a traceback, or would if it were given to packaging as it is."""


@pytest.mark.parametrize("kind", COSTLY)
def test_metadata_that_costs_is_read_within_limits(site: Site, kind: str) -> None:
    site.add("lib", version="1.0")
    more = COSTLY[kind]
    site.add("my-agent", agents=None if "entry_points" in more else {"a": "m:C"}, **more)
    discover(Config())  # with the imports
    began = time.process_time()
    entry = only(site)
    # A second, where the worst took 42; on a busy machine ten would still tell them apart.
    assert time.process_time() - began < 10
    assert len(f"{entry.reason}{entry.fix}{entry.version}{entry.summary}") < 3000
    assert all(len(line) <= 500 for line in site.warnings)


def test_a_version_of_thousands_of_digits_of_what_is_required_meets_nothing(site: Site) -> None:
    site.add("lib", version="1.0", metadata=f"Name: lib\nVersion: {HUGE}\n", folder="lib.egg-info")
    site.add("my-agent", agents={"a": "m:C"}, requires=["lib>=1"])
    assert only(site).state is State.INCOMPATIBLE
