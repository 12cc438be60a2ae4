"""Settings of the documentation site; `make docs` builds it, without network."""

import sys
from importlib.util import find_spec
from pathlib import Path

from radiounet import __version__
from radiounet.network.architectures.registry import EXTRAS

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Radio U-Net over LoTSS"
author = "the radiounet-lotss developers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "from_code",  # in _ext: pages that are made from the package
    "mathml",  # in _ext
]
exclude_patterns = ["_build", "reference/_generated/*.md"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

highlight_language = "none"
smartquotes = False  # 20" is an angle, not the end of a quotation
default_role = "py:obj"
autodoc_mock_imports = [name for name in EXTRAS if find_spec(name) is None]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, shapes and units
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["wide_tables.css"]
html_show_sourcelink = False
html_sidebars = dict.fromkeys(("index", "tutorial", "development", "changelog"), [])  # pages of one level
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": {"**": ["page-toc"], "reference/configuration": [], "method/accuracy": []},
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}
