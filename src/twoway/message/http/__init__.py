"""HTTP Message Signatures (RFC 9421) and sealed bodies: requests and responses that prove whose they are."""
