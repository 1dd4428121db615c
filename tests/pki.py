"""The PKI of the tests is the one that twoway gives to everybody's tests."""

from __future__ import annotations

from twoway.testing.issuer import NOW, Issuer, digest_for, make

__all__ = ["NOW", "Issuer", "digest_for", "make"]
