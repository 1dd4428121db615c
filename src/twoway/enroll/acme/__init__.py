"""ACME (RFC 8555): certificates for names that the one who asks has proven to control."""
