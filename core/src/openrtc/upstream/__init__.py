"""Every private name of livekit and livekit-agents that OpenRTC uses, here and in `openrtc.speedups`, and nowhere else.

Each has a contract test in core/tests/upstream: it says with which change of livekit's the code here must change. And
each stands in code that is known by its digest (`known_code`), which is compared before it is used (`digest`).
"""
