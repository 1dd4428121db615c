"""Checks that `make check` runs, and the script that pins the dependencies."""
