"""`python -m tools.docsite [FOLDER]`: builds the site without the network; any warning fails it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from tools.docsite.staging import lay_out
from tools.tracked import ROOT

# What the theme leaves out for those who listen or use the keyboard alone (WAI-ARIA 1.2, WCAG 2.2 §2.1.1).
MENDED = (
    ('role="heading">', 'role="heading" aria-level="2">'),
    ('<aside class="sidebar-drawer"', '<aside aria-label="All pages" class="sidebar-drawer"'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
    ("<pre>", '<pre tabindex="0">'),  # it scrolls sideways
)


def main(folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as directory:
        staging = Path(directory)
        lay_out(staging)
        arguments = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(Path(__file__).parent)]
        status = build_main([*arguments, "-d", str(staging / ".doctrees"), directory, str(folder)])
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for left_out, whole in MENDED:
            text = text.replace(left_out, whole)
        page.write_text(text, encoding="utf-8")
    if status == 0:
        print(f"site: {folder / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site")))
