"""What processes that this one starts get of its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Site

CODE = """
import multiprocessing, sys
from openrtc.child_environment import leave_out_working_folder

def work():
    import own_module
    sys.exit(own_module.CODE)

if __name__ == "__main__":
    leave_out_working_folder()
    context = multiprocessing.get_context(sys.argv[1])
    context.set_forkserver_preload(["own_module"])
    child = context.Process(target=work)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.mark.process
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_of_multiprocessing_takes_no_module_of_the_working_folder_for_one_of_pythons(
    site: Site, method: str
) -> None:
    for name in ("multiprocessing", "random", "selectors", "signal", "socket", "struct", "threading"):
        (site.work / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    script = site.folder / "start.py"
    script.write_text(CODE)
    (site.folder / "own_module.py").write_text("CODE = 7")
    done = site.python(str(script), method)
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.process
def test_the_command_prefers_pythons_modules_and_finds_others_in_the_working_folder(site: Site) -> None:
    for name in ("random", "logging", "argparse"):
        (site.work / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    site.add("pkg-p", plugins={"p": "plugin_here"})
    (site.work / "plugin_here.py").write_text("from openrtc import hookimpl\n@hookimpl\ndef openrtc_shutdown(): ...\n")
    assert site.plugins()["pkg-p:p"]["state"] == "ready"
