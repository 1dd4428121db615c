"""The page: one self-contained HTML file for one handshake, or for two side by side."""

from twoway.explainer.page.compared import as_html_compared
from twoway.explainer.page.whole import as_html

__all__ = ["as_html", "as_html_compared"]
