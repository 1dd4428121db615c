"""HTTP/1.1 through the gateway: each request judged, and told to the target with who asks."""
