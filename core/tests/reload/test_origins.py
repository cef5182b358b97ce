"""A digest of code changes with what the code does, wherever in its package that stands."""

from __future__ import annotations

from functools import partial
from typing import Any

from openrtc.reload.origins import describe_code

SOURCE = """
SIZE = 3

class Model:
    rate = 16
    def run(self):
        return [SIZE for _ in range(SIZE)]

def build():
    return Model()

def load():
    inner = lambda: build()
    return inner()
"""


def make(source: str, name: str = "load") -> Any:
    space: dict[str, Any] = {"__name__": "some_pack"}
    exec(compile(source, "some_pack.py", "exec"), space)
    return space[name]


def test_the_same_code_elsewhere_in_its_file_has_the_same_digest() -> None:
    assert describe_code(make(SOURCE)) == describe_code(make(f"import os\n\n\n{SOURCE}\nmore = 1\n"))


def test_other_code_has_another_digest_also_where_it_is_only_called() -> None:
    digests = [describe_code(make(SOURCE))]
    for old, new in (("range(SIZE)", "range(2)"), ("SIZE = 3", "SIZE = 4"), ("rate = 16", "rate = 8")):
        digests.append(describe_code(make(SOURCE.replace(old, new))))
    assert len(set(digests)) == 4


def test_partial_functions_and_methods_are_what_they_call() -> None:
    model = make(SOURCE, "Model")
    assert describe_code(partial(make(SOURCE))) == describe_code(partial(make(SOURCE)))
    assert describe_code(model().run) == describe_code(make(SOURCE.replace("rate = 16", "rate = 8"), "Model")().run)
    assert describe_code(model) != describe_code(make(SOURCE.replace("rate = 16", "rate = 8"), "Model"))
