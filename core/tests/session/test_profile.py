"""The lean profile changes what the agent's package leaves open, and nothing else."""

from __future__ import annotations

from livekit.agents import room_io

from openrtc.session.profile import build_start_options, without_sound


def test_the_standard_profile_leaves_everything_as_the_package_says() -> None:
    chosen = room_io.RoomOptions(audio_input=False)
    assert build_start_options("standard", None) == {}
    assert build_start_options("standard", chosen) == {"room_options": chosen}


def test_the_lean_profile_saves_where_the_package_says_nothing() -> None:
    options = build_start_options("lean", None)
    room = options["room_options"]
    assert (room.audio_input.sample_rate, room.audio_input.auto_gain_control) == (16000, False)
    assert room.text_output.sync_transcription is False
    assert room.audio_output == room_io.RoomOptions().audio_output


def test_the_packages_own_options_outweigh_the_lean_profile() -> None:
    audio = room_io.AudioInputOptions(sample_rate=48000)
    room = build_start_options("lean", room_io.RoomOptions(audio_input=audio, text_output=False))["room_options"]
    assert room.audio_input is audio and room.text_output is False
    mute = build_start_options(
        "lean", room_io.RoomOptions(audio_input=False, text_output=True, close_on_disconnect=False)
    )
    assert mute["room_options"].audio_input is False
    assert mute["room_options"].text_output.sync_transcription is False
    assert mute["room_options"].close_on_disconnect is False


def test_a_call_in_text_has_no_sound_and_all_else_that_the_package_says() -> None:
    for profile in ("standard", "lean"):
        chosen = room_io.RoomOptions(audio_input=True, text_input=False, delete_room_on_close=True)
        room = build_start_options(profile, without_sound(chosen))["room_options"]
        assert (room.audio_input, room.audio_output, room.video_input) == (False, False, False)
        assert (room.text_input, room.delete_room_on_close) == (False, True)
    assert without_sound(None).audio_output is False
