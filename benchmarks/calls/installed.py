"""Installs the agent that OpenRTC runs, for one comparison."""

from __future__ import annotations

from pathlib import Path

DISTRIBUTION = "openrtc-bench"


def install_our_agent(folder: Path) -> None:
    """Write the metadata of a distribution with the agent of `our_agent`.

    Args:
        folder: A folder of Python's path.
    """
    metadata = folder / "openrtc_bench-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[openrtc.agents]\nbench = our_agent:bench\n")
