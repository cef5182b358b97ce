"""A child process for tests: answers, fails, hangs, dies or prints as it is asked to."""

from __future__ import annotations

import os
import time
from typing import Any

from openrtc_offline.child_process import serve


def answer(header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    do = header.get("do")
    if do == "fail":
        raise ValueError("asked to fail")
    if do == "die":
        os._exit(3)
    if do == "sleep":
        time.sleep(header["seconds"])
    if do == "print":
        print("noise between messages", flush=True)
    return {"pid": os.getpid(), "number": header.get("number")}, payload


if __name__ == "__main__":
    serve(lambda: answer)
