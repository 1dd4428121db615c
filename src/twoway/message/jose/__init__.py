"""JWE and JWS (RFC 7515, 7516, 7518): messages as JSON and base64url, held in memory."""
