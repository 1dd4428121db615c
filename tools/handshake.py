"""`python -m tools.handshake`: records one mutual TLS handshake on this machine and draws it as docs/handshake.svg."""

from __future__ import annotations

import sys
from pathlib import Path

import twoway
from tools.tracked import ROOT
from twoway.testing import Company, serving


def main(file: Path) -> int:
    company = Company("Acme")
    with serving(company, allow=["cn=orders"]) as server:
        told = twoway.explain(f"localhost:{server.port}", identity=company.client("orders"))
    if not told.mutual:
        print(told, file=sys.stderr)
        return 1
    file.write_text(told.svg(), encoding="utf-8")
    print(f"recorded: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "handshake.svg")))
