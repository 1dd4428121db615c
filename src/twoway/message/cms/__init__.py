"""CMS (RFC 5652, 5083): sealed and signed messages as ASN.1, in streams of any length."""
