"""A handshake told as a story, from the bytes that went over the wire."""
