"""Sphinx: Markdown pages, and a reference that the extension ``model`` makes from the code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "k8sbuild"
author = "the k8sbuild authors"
extensions = ["myst_parser", "model"]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = "k8sbuild"
myst_heading_anchors = 2
nitpicky = True
