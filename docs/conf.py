"""Settings of the documentation build."""

import re
from typing import Any

from eprimg import __version__

project = "eprimg"
author = "The eprimg developers"
copyright = "2026, the eprimg developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_ivar = True  # fields of named tuples are listed once
autodoc_typehints = "none"
autodoc_member_order = "bysource"
exclude_patterns = ["_build", "README.md"]
suppress_warnings = ["myst.xref_missing", "ref.python"]
html_theme = "pydata_sphinx_theme"
html_title = "eprimg"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False


def plain_references(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Number the references of each docstring on their own: on one page ``[1]`` would clash."""
    for n, line in enumerate(lines):
        line = re.sub(r"^(\s*)\.\. \[(\d+)\] ", r"\1\2. ", line)
        line = re.sub(r"\[(\d+)\]_", r"[\1]", line)
        # "E_NII_..." means every code that starts so; it is not a hyperlink target.
        lines[n] = re.sub(r"(?<!`)\b([EWI]_[A-Z0-9_]*_)(?=\.\.\.)", r"``\1``", line)


def setup(app: Any) -> None:
    """Connect the handler, before napoleon takes the sections apart."""
    app.connect("autodoc-process-docstring", plain_references, priority=100)
