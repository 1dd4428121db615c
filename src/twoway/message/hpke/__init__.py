"""HPKE (RFC 9180) in a container of our own: docs/messages.md specifies it whole."""
