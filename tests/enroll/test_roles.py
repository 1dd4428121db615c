"""Roles: ordinary policies, one a role, read again when they change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twoway.enroll.access import Standing
from twoway.enroll.roles import Roles
from twoway.errors import UsageError
from twoway.trust import BadRule

OPS = {"cn": ("ops",), "uri": ("spiffe://acme.example/ops/anna",)}


def test_without_rules_nobody_has_a_role(tmp_path: Path) -> None:
    roles = Roles(tmp_path)
    assert roles.none_given
    assert roles.of(OPS) == frozenset()


def test_a_role_comes_from_its_file_or_from_a_rule(tmp_path: Path) -> None:
    (tmp_path / "operator.toml").write_text('[[allow]]\nuri = "spiffe://acme.example/ops/*"\n')
    roles = Roles(tmp_path, ["auditor:cn=ops"])
    assert roles.of(OPS) == {Standing.OPERATOR, Standing.AUDITOR}
    assert roles.of({"cn": ("orders",)}) == frozenset()


def test_a_deny_rule_takes_a_role_away(tmp_path: Path) -> None:
    (tmp_path / "admin.toml").write_text('[[allow]]\ncn = "*"\n[[deny]]\ncn = "ops"\n')
    assert Roles(tmp_path).of(OPS) == frozenset()


def test_a_changed_file_counts_and_a_broken_one_leaves_the_old_rules(tmp_path: Path) -> None:
    file = tmp_path / "admin.toml"
    file.write_text('[[allow]]\ncn = "ops"\n')
    roles = Roles(tmp_path)
    file.write_text('[[allow]]\ncm = "anna"\n')
    roles.refresh()
    assert roles.of(OPS) == {Standing.ADMIN}
    file.write_text('[[allow]]\ncn = "anna"\n')
    roles.refresh()
    assert roles.of(OPS) == frozenset()
    os.unlink(file)
    roles.refresh()
    assert roles.none_given


def test_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "admin.toml").write_text('[[allow]]\ncm = "ops"\n')
    with pytest.raises(BadRule, match="cm"):
        Roles(tmp_path)


@pytest.mark.parametrize("text", ["cn=ops", "root:cn=ops", "nobody:cn=ops", "identity:cn=ops"])
def test_only_roles_can_be_given(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="gives no role"):
        Roles(tmp_path, [text])
