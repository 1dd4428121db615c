"""What Sphinx is told; the pages are laid out by tools/docsite/staging.py."""

from __future__ import annotations

import twoway

project = "twoway"
author = "The twoway maintainers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = twoway.__version__
root_doc = "index"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # the anchors that forges make of headings
html_theme = "furo"
html_title = f"twoway {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["readable.css"]
html_theme_options = {"sidebar_hide_name": False}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
nitpicky = True
