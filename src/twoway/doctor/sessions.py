"""TLS sessions in files, in the form of `openssl s_client -sess_out`: each is as good as the identity until it ends."""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path

from twoway.credential import NotPem, pem, read, write_private

_LABEL = "SSL SESSION PARAMETERS"


def read_session(path: Path) -> bytes | None:
    """The session in a file, None where the file is not there yet; raises CredentialError for any other content."""
    if not path.exists():
        return None
    blocks = [block for block in pem.scan(read(path), where=str(path)) if block.label == _LABEL]
    if len(blocks) != 1:
        raise NotPem(str(path), f"{len(blocks)} blocks of {_LABEL}")
    return blocks[0].der


def write_session(path: Path, session: bytes) -> None:
    """Keep a session, for this user alone (mode 0600)."""
    body = "\n".join(textwrap.wrap(base64.b64encode(session).decode("ascii"), 64))
    write_private(path, f"-----BEGIN {_LABEL}-----\n{body}\n-----END {_LABEL}-----\n".encode("ascii"))
