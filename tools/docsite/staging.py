"""The pages of the site, laid out as in the repository so that their links hold, with the generated ones beside them."""

from __future__ import annotations

import re
from pathlib import Path

from tools.check_docs import LINK
from tools.docsite import commands, library
from tools.tracked import ROOT, tracked

# What is not a how-to; every other page of docs/index.md is one, in the order of that page.
START = ("docs/index.md", "docs/five-steps.md")
LOOK_UP = ("docs/failures.md", "docs/standards.md", "docs/security.md", "CHANGELOG.md", "CONTRIBUTING.md")


def lay_out(staging: Path) -> None:
    """Write every page below an empty directory, and the files that pages lead to."""
    for path in (*tracked("docs/*.md"), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"):
        _write(staging / path.relative_to(ROOT), _page(path, staging))
    for name, text in {**library.pages(), **commands.pages()}.items():
        _write(staging / "reference" / f"{name}.md", text)
    _write(staging / "index.md", "\n".join([_page(ROOT / "README.md", staging), *_contents()]))


def _page(path: Path, staging: Path) -> str:
    """Give a page for the site: README.md is its start page, files come along, and a folder is only named."""

    def relinked(link: re.Match[str]) -> str:
        target = (path.parent / link[1].partition("#")[0]).resolve()
        if target == ROOT / "README.md":
            return link[0].replace("README.md", "index.md")
        if target.is_dir():
            return link[0].partition("](")[0].lstrip("[")
        if target.is_file() and target.suffix != ".md":
            _write(staging / target.relative_to(ROOT), target.read_text(encoding="utf-8"))
        return link[0]

    return LINK.sub(relinked, path.read_text(encoding="utf-8"))


def _contents() -> list[str]:
    why = sorted(path.relative_to(ROOT).as_posix() for path in tracked("docs/why/*.md"))
    listed = [
        f"docs/{link.partition('#')[0]}"
        for link in LINK.findall((ROOT / START[0]).read_text(encoding="utf-8"))
    ]
    how = [
        page
        for page in dict.fromkeys(listed)
        if not page.startswith("docs/../") and page not in {*START, *LOOK_UP, *why}
    ]
    return [
        _toctree("Start here", START),
        _toctree("How to", how),
        _toctree("Look up", LOOK_UP),
        _toctree("Command line", [f"reference/{name}.md" for name in commands.pages()]),
        _toctree("Library", [f"reference/{name}.md" for name in library.pages()]),
        _toctree("Why", why),
    ]


def _toctree(caption: str, pages: list[str] | tuple[str, ...]) -> str:
    inside = "\n".join(page.removesuffix(".md") for page in pages)
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n{inside}\n```\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
