"""What the repository promises about itself: layers, imports, the wheel, the lock, the documentation."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import twoway
from twoway.errors import TwowayError

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "constraints.txt").read_text()
PINNED = re.compile(
    r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)((?: ;[^\\\n]*)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)",
    re.M,
)
HEAVY = ("cryptography", "OpenSSL", "sqlalchemy", "alembic", "uvicorn", "httpx2", "pydantic", "click", "rich")


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_no_floor_imports_from_a_floor_above_it():
    done = run(BIN / "lint-imports", "--no-cache")
    assert done.returncode == 0, done.stdout


def test_importing_twoway_imports_nothing_heavy():
    program = f"import sys, twoway; print([m for m in {HEAVY} if m in sys.modules])"
    assert run(sys.executable, "-c", program).stdout == "[]\n"


def test_every_public_name_can_be_imported():
    program = "import twoway; missing = [n for n in twoway.__all__ if getattr(twoway, n, None) is None]; print(missing)"
    done = run(sys.executable, "-c", program)
    assert done.stdout == "[]\n", done.stderr


def all_errors() -> list[type[TwowayError]]:
    """Every error class of the package, from every module of it."""
    importlib.import_module("tests.integrations.django_site")  # Django's classes want settings first
    for module in pkgutil.walk_packages(twoway.__path__, "twoway."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)
    found, seen = [TwowayError], set()
    while found:
        error = found.pop()
        if error not in seen and error.__module__.startswith("twoway."):
            seen.add(error)
            found += error.__subclasses__()
    return sorted(seen, key=lambda error: error.__qualname__)


def test_no_two_errors_share_a_code():
    """Logs and programs tell errors apart by their code; a subclass may keep its parent's."""
    owners: dict[str, str] = {}
    for error in all_errors():
        if "code" in vars(error):
            assert owners.setdefault(error.code, error.__qualname__) == error.__qualname__
    assert len(owners) > 5


def test_every_error_says_what_it_means():
    assert [error.__qualname__ for error in all_errors() if not vars(error).get("__doc__")] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_is_for_every_platform(wheel: Path):
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [
        name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".so", ".pyd", ".c", ".pyx"))
    ]


def test_the_wheel_holds_the_licence_the_types_marker_and_the_migrations(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert "twoway/py.typed" in names
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    here = ROOT / "src"
    migrations = {
        path.relative_to(here).as_posix() for path in here.glob("twoway/authority/migrations/**/*.py")
    }
    assert migrations
    assert migrations <= set(names)


def test_the_wheel_holds_nothing_but_the_package(wheel: Path):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert len(tops) == 2, tops
    assert "twoway" in tops


def test_the_lock_names_no_place():
    """Where packages come from is the machine's business; what they are is said by their hashes."""
    assert "://" not in LOCK
    assert not re.findall(r"^\s*-(?!-hash=)", LOCK, re.M), "only hashes are options here"
    assert " @ " not in LOCK


def test_every_package_in_the_lock_is_pinned_by_hash():
    without_comments = re.sub(r"^#.*\n", "", LOCK, flags=re.M)
    assert PINNED.sub("", without_comments).strip() == ""


def test_every_dependency_is_in_the_lock_at_a_version_that_it_accepts():
    pins = {canonicalize_name(match[1]): match[2] for match in PINNED.finditer(LOCK)}
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    for requirement in map(Requirement, [*wanted, *PROJECT["build-system"]["requires"]]):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin, f"{requirement} is not in constraints.txt: run make lock"
        assert requirement.specifier.contains(pin), f"{requirement} does not accept {pin}: run make lock"


@pytest.mark.parametrize("check", ["tools.check_sources", "tools.check_docs"])
def test_sources_and_documentation_pass_their_checks(check):
    done = run(sys.executable, "-m", check)
    assert done.returncode == 0, done.stdout


def test_the_commands_that_readme_names_are_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text()))
    assert named <= targets
