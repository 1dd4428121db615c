"""The documentation as a site; `python -m tools.docsite` builds it."""
