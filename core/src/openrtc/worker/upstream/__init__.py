"""Every private name of livekit-agents and livekit that OpenRTC uses, here alone, each with a contract test."""
