"""A package that is upgraded while a worker runs it."""

from __future__ import annotations

from e2e.packages import Package

DRIFTING = Package(
    name="drifting-agents",
    modules={
        "drifting_agents.py": """
            from tone_agents import ToneAgent


            class Drifts(ToneAgent):
                frequency = 700.0
                seconds = 60.0


            class ImportsLate(ToneAgent):
                frequency = 700.0

                def __init__(self):
                    import drifting_late

                    super().__init__()
        """,
        "drifting_late.py": "",
    },
    agents={"drifts": "drifting_agents:Drifts", "imports-late": "drifting_agents:ImportsLate"},
)
