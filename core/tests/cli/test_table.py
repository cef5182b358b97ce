from __future__ import annotations

import sys

import pytest

from openrtc.cli.columns import fold, measure
from openrtc.cli.output import show_progress
from openrtc.cli.table import TextTable, style


def test_a_row_is_one_line_where_nobody_looks() -> None:
    table = TextTable("Agent", "State", "ms", "What it is")
    table.add("helpdesk", "ready", "7", "word " * 100)
    table.add("b", "broken", "1234", "it\nfailed\x1b[2J")
    blank, headings, rule, first, second, last = table.list_lines(None)
    assert (blank, last) == ("", "")
    assert headings == " Agent     State     ms  What it is"
    assert first == f" helpdesk  ready      7  {('word ' * 100).strip()}"
    assert second == " b         broken  1234  it failed [2J"
    assert set(rule.strip()) <= {"─", "-"}


@pytest.mark.parametrize("width", [30, 60, 79, 200])
def test_nothing_is_cut_off_on_a_terminal_of_any_width(width: int) -> None:
    table = TextTable("Agent", "State", "What it is")
    words = [f"w{number}" for number in range(60)]
    table.add("a-rather-long-name-of-an-agent", "not-allowed", " ".join(words))
    lines = list(table.list_lines(width))
    shown = " ".join(lines).split()
    assert [word for word in words if word not in shown] == []
    assert max(map(len, lines)) <= max(width, 38)  # two columns of ten, a state and what is between them


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    assert (measure("plain"), measure("日本"), measure("e\u0301")) == (5, 4, 1)
    assert [measure(line) for line in fold("日本語です 日本語です", 7)] == [6, 4, 6, 4]


def test_a_word_that_is_longer_than_its_column_is_folded() -> None:
    assert list(fold("a openrtc.toml/of/somebody b", 10)) == ["a", "openrtc.to", "ml/of/some", "body b"]


def test_colours_are_for_terminals_and_not_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert style("ready", "32") == "ready"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert style("ready", "32") == "\x1b[32mready\x1b[0m"
    assert style("", "32") == ""
    for variable, value in (("TERM", "dumb"), ("NO_COLOR", "1")):
        monkeypatch.setenv(variable, value)
        assert style("ready", "32") == "ready"
        monkeypatch.setenv("TERM", "xterm")


def test_progress_is_shown_on_a_terminal_only_and_goes_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with show_progress("importing 3 entry points"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with pytest.raises(LookupError), show_progress("importing 3 entry points"):
        raise LookupError
    assert capsys.readouterr().err == "importing 3 entry points …\r\x1b[K"
