"""Every link in the documentation leads somewhere, and every place that it cites exists."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

from tools.tracked import ROOT, finish, tracked

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
PLACE = re.compile(r"`([\w./-]+\.py)(?:::([\w.]+))?`")
STANDARD = re.compile(r"\bRFC (\d{4,5})\b")
STANDARDS = ROOT / "docs" / "standards.md"
INDEX = ROOT / "docs" / "index.md"


def main() -> int:
    problems = []
    for path in tracked("*.md"):
        text = prose(path)
        name = path.relative_to(ROOT).as_posix()
        problems += [
            f"{name}: the link {link} leads nowhere" for link in LINK.findall(text) if not leads(path, link)
        ]
    problems += [
        f"docs/standards.md: {problem}" for problem in wrong_places(STANDARDS.read_text(encoding="utf-8"))
    ]
    problems += uncovered_standards()
    problems += unlisted()
    return finish(problems, "documentation")


@cache
def prose(path: Path) -> str:
    """Give the text of a document without its code blocks and inline code that only looks like a link."""
    return re.sub(
        r"^(```|~~~).*?^\1\s*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def leads(path: Path, link: str) -> bool:
    """Tell whether a link leads to a file of this repository, and to a heading in it; the web is not asked."""
    if re.match(r"[a-z]+:", link):
        return True
    target, _, anchor = link.partition("#")
    file = (path.parent / target).resolve() if target else path
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file)


@cache
def anchors(path: Path) -> frozenset[str]:
    """Give the anchors that a forge makes of the headings, and those written as HTML."""
    text = prose(path)
    headings = (heading.lower() for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE))
    made = (re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings)
    return frozenset(made) | frozenset(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def wrong_places(text: str) -> list[str]:
    """Name each cited `path.py::name` (below src/twoway) that is not in the source."""
    problems = []
    for file, name in PLACE.findall(text):
        path = ROOT / "src" / "twoway" / file
        if not path.is_file():
            problems.append(f"there is no {file}")
        elif name and name not in names_in(path):
            problems.append(f"there is no {name} in {file}")
    return problems


@cache
def names_in(path: Path) -> frozenset[str]:
    """Give the functions, classes, methods (`Class.method`) and constants that a module defines."""
    found: set[str] = set()

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(prefix + name)
                case ast.ClassDef(name=name, body=inner):
                    found.add(prefix + name)
                    walk(inner, f"{prefix}{name}.")
                case ast.Assign(targets=targets):
                    found.update(prefix + target.id for target in targets if isinstance(target, ast.Name))
                case ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(prefix + name)

    walk(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return frozenset(found)


def uncovered_standards() -> list[str]:
    """Name each RFC that the source cites and docs/standards.md does not speak of."""
    known = set(STANDARD.findall(STANDARDS.read_text(encoding="utf-8")))
    problems = []
    for path in tracked("src/*.py"):
        for number in sorted(set(STANDARD.findall(path.read_text(encoding="utf-8"))) - known):
            problems.append(
                f"{path.relative_to(ROOT)} cites RFC {number}; docs/standards.md does not speak of it"
            )
    return problems


def unlisted() -> list[str]:
    """Name each document that the map of documents does not lead to."""
    listed = {(STANDARDS.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(INDEX))}
    return [
        f"{path.relative_to(ROOT)} is not in docs/index.md"
        for path in tracked("docs/*.md")
        if path not in {*listed, INDEX}
    ]


if __name__ == "__main__":
    sys.exit(main())
