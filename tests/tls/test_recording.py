"""What is kept of a connection, and how much of it."""

from __future__ import annotations

from twoway.tls.recording import Recording


def test_a_read_larger_than_the_room_that_is_left_is_kept_as_far_as_it_fits():
    """A client's last flight may arrive in one read with the bulk behind it: the flight must not be lost."""
    recording = Recording("server", limit=10)
    recording.received(b"hello")
    recording.received(b"flight and much more")
    recording.sent(b"late")
    assert [(chunk.sender, chunk.data) for chunk in recording.chunks] == [
        ("client", b"hello"),
        ("client", b"fligh"),
    ]
    assert recording.full


def test_a_recording_that_is_filled_to_the_byte_is_not_called_cut_off():
    recording = Recording("server", limit=5)
    recording.received(b"hello")
    assert not recording.full
