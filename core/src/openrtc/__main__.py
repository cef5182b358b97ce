"""``python -m openrtc``."""

from __future__ import annotations

from openrtc.cli.main import program

if __name__ == "__main__":
    program()
