"""TLS bytes to facts; pure."""
