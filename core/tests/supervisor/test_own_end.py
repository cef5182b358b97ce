"""How a process ends that starts workers."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from openrtc.supervisor import own_end


def test_who_loads_anew_is_the_first_to_go_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = tmp_path / "oom_score_adj"
    monkeypatch.setattr(own_end, "_OOM_SCORE", score)
    with own_end.offer_to_memory_killer(when=True):
        assert not score.exists(), "where the system has no such file, nothing happens"
    score.write_text("17\n")
    with own_end.offer_to_memory_killer(when=False):
        assert score.read_text() == "17\n"
    with own_end.offer_to_memory_killer(when=True):
        assert score.read_text() == "1000"
    assert score.read_text() == "17\n"


@pytest.mark.process
def test_a_process_that_hangs_ends_with_its_parent_and_one_whose_parent_is_gone_says_so() -> None:
    child = (
        "import socket, sys, time; from openrtc.supervisor.own_end import end_with_parent\n"
        "print(end_with_parent(socket.socket(fileno=int(sys.argv[1]))), flush=True); time.sleep(30)"
    )
    parent = (
        "import socket, subprocess, sys; ours, theirs = socket.socketpair()\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}, str(theirs.fileno())], pass_fds=[theirs.fileno()],"
        " stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode(), end='', flush=True)"
    )
    # The child has the pipe as well as its parent: it ends when both have.
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "True\n"
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        said = subprocess.run(
            [sys.executable, "-c", child.replace("time.sleep(30)", ""), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
            check=True,
        )
    assert said.stdout == "False\n"
