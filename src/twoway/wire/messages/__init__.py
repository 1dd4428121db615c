"""Handshake messages, alerts and change_cipher_spec as trees of fields, every byte in exactly one leaf."""

from twoway.wire.messages.decode import decode_alert, decode_change_cipher_spec, decode_data, decode_message

__all__ = ["decode_alert", "decode_change_cipher_spec", "decode_data", "decode_message"]
