"""Where openrtc 0.20 has what its observers import; here it stands in `openrtc.model.observer`."""

from __future__ import annotations

from openrtc.model.observer import SessionInfo, SessionObserver, SessionOutcome, SessionStatus

__all__ = ["SessionInfo", "SessionObserver", "SessionOutcome", "SessionStatus"]
