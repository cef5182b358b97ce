"""The plugin `openrtc_redact.plugin`: what it takes out of texts, and what it leaves."""

from __future__ import annotations

from importlib.metadata import distribution

import pytest

from openrtc import ResourceUnavailable
from openrtc_redact import plugin
from openrtc_redact.plugin import PATTERNS, openrtc_redact, openrtc_resources


@pytest.fixture(autouse=True)
def no_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATTERNS, raising=False)


def test_the_distribution_announces_the_plugin_module() -> None:
    (entry,) = distribution("openrtc-redact").entry_points
    assert (entry.group, entry.name) == ("openrtc.plugins", "redact")
    assert entry.load() is plugin


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ann.lee+calls@mail.example.co.uk, please", "write to [e-mail], please"),
        ("It's Ann at example dot com.", "It's [e-mail]."),
        ("ann_lee at mail dot example dot org", "[e-mail]"),
        ("ann at example.com today", "[e-mail] today"),
        ('{"mail": "ann@example.com", "phone": "+1 (415) 555-2671"}', '{"mail": "[e-mail]", "phone": "[phone]"}'),
        ("call 0170/123 45 67 now", "call [phone] now"),
        ("call 020 7946 0958.", "call [phone]."),
        ("my card is 4111 1111 1111 1111 thanks", "my card is [card] thanks"),
        ("card 378282246310005", "card [card]"),
        ("card 4111-1111-1111-1112", "card [number]"),
        ("DE89 3704 0044 0532 0130 00 is mine", "[iban] is mine"),
        ("to gb82west12345698765432 at once", "to [iban] at once"),
        ("AT61 1904 3002 3457 3201 thanks", "[iban] thanks"),
        ("DE89 3704 0044 0532 0130 01", "DE[number]"),
        ("it is four one five, five five five, two six", "it is [number]"),
        ("oh double seven nine four six zero", "[number]"),
        ("مرحبا ٠١٧٠١٢٣٤٥٦٧", "مرحبا [phone]"),
    ],
)
def test_what_is_found_gets_a_label(text: str, redacted: str) -> None:
    assert openrtc_redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello, how can I help you?",
        "on 2026-11-30 at 10:45, room 1204",
        "from 30.11.2026, in 2024-2025",
        "it costs 1,000,000 dollars, or 12.50",
        "look at me, dot by dot",
        "one or two or three of them",
        "order 123456",
    ],
)
def test_what_is_nobodys_stays(text: str) -> None:
    assert openrtc_redact(text) == text


def test_further_patterns_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATTERNS, "\\bcustomer \\d+\n\n my name is \\w+ \nz*")
    assert openrtc_redact("Customer 12: my name is Ann, ann@example.com") == "[private]: [private], [e-mail]"
    (spec,) = openrtc_resources()
    assert len(spec.load()) == 3


def test_a_pattern_that_is_none_is_told_and_redacts_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATTERNS, "fine\n([a-z")
    assert openrtc_redact("Hello") == "[redacted]"
    (spec,) = openrtc_resources()
    with pytest.raises(
        ResourceUnavailable, match=r"OPENRTC_REDACT_PATTERNS has '\(\[a-z', which is no regular express"
    ):
        spec.load()


def test_without_patterns_there_is_nothing_to_load() -> None:
    assert openrtc_resources() == []
