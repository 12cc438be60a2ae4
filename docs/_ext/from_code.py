"""Pages of the reference that are made from the package before Sphinx reads any page.

They are written to ``docs/reference/_generated``, which git ignores.
"""

import contextlib
import importlib
import importlib.util
import io
import os
import pkgutil
import runpy
import sys
from pathlib import Path
from unittest import mock

from sphinx.application import Sphinx

import radiounet
from radiounet.measuring.columns import TABLES
from radiounet.measuring.unmeasured import NOT_MEASURED

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
GENERATED = DOCS / "reference" / "_generated"
PACKAGE = Path(radiounet.__file__).parent
ROOMS = (
    *("running", "publishing", "learning", "measuring", "simulation"),
    *("network", "mosaicking", "survey", "settings", "images"),
)
TYPES = {str: "text", bool: "true or false", float: "number", int: "whole number"}


def columns_page() -> str:
    """Every column of every table; its name links to itself, so that readers can copy its address."""
    lines = ["## Where nothing was measured", "", NOT_MEASURED, ""]
    for kind, columns in TABLES.items():
        lines += [f"## Table `{kind}`", ""]
        lines += ["| column | type | unit | meaning | UCD |", "|---|---|---|---|---|"]
        for name, column in columns.items():
            ucd = "; ".join(f"`{word}`" for word in column.ucd.split(";"))
            linked = f"[[`{name}`](#{kind}-{name})]{{#{kind}-{name}}}"
            cells = (linked, TYPES[column.kind], column.unit or "", column.description, ucd)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def verbs_page() -> str:
    """What ``radiounet --help`` prints, and the help of each verb."""
    if importlib.util.find_spec("radiounet.running.cli") is None:
        return ""
    cli = importlib.import_module("radiounet.running.cli")
    lines = ["## `radiounet`", "", *_fenced(help_of("radiounet", cli.main))]
    for verb in cli.VERBS:
        lines += [f"### `radiounet {verb}`", "", *_fenced(help_of("radiounet", cli.main, verb))]
    return "\n".join(lines)


def scripts_page() -> str:
    """The help of every program that a rule or the Makefile calls."""
    lines = []
    for script in sorted((ROOT / "scripts").glob("*.py")):
        name = f"scripts/{script.name}"
        text = help_of(script.name, lambda path=script: runpy.run_path(str(path), run_name="__main__"))
        lines += [f"### `python {name}`", "", *_fenced(text)]
    return "\n".join(lines)


def help_of(name: str, program, *words: str) -> str:
    """What a program prints for ``--help``, in lines of 100 letters."""
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", [name, *words, "--help"]),
        mock.patch.dict(os.environ, {"COLUMNS": "100", "TF_CPP_MIN_LOG_LEVEL": "3"}),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        program()
    return printed.getvalue().replace(str(ROOT) + os.sep, "")


def _fenced(text: str) -> list[str]:
    return ["```text", text.rstrip(), "```", ""]


def room_page(room: str) -> str:
    """The modules of a room with all that they offer, as reStructuredText."""
    name = f"radiounet.{room}"
    lines = [*_heading(f"Room ``{room}``", "="), f".. automodule:: {name}", "   :no-members:", ""]
    folder = str(PACKAGE / room)
    for module in sorted(one.name for one in pkgutil.walk_packages([folder], f"{name}.")):
        lines += [*_heading(module, "-"), f".. automodule:: {module}", "   :members:", ""]
    return "\n".join(lines)


def errors_page() -> str:
    """The named errors."""
    return "\n".join([*_heading("Errors", "="), ".. automodule:: radiounet.errors", "   :members:"])


def _heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def write_pages(app: Sphinx) -> None:
    """Write all pages, each only if its text changed, so that Sphinx does not read it anew."""
    pages = {
        "columns.md": columns_page(),
        "verbs.md": verbs_page(),
        "scripts.md": scripts_page(),
        **{f"{room}.rst": room_page(room) for room in ROOMS},
        "errors.rst": errors_page(),
    }
    GENERATED.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = GENERATED / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Attach to Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
