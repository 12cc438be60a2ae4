"""What programs import by name is there, also in those that no other test runs."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "scripts/radiounet"
FOLDERS = ("scripts", "scripts/radiounet", "benchmarks", "tests", "tests/*")
PROGRAMS = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.py"))


def defined(module):
    """Names that a module of the package has at its top level."""
    names, waiting = set(), list(ast.parse((PACKAGE / f"{module}.py").read_text()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names |= {one.asname or one.name for one in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        else:  # of assignments the names, of conditions what stands below
            waiting += ast.iter_child_nodes(node)
    return names


def imported(path):
    """Pairs of a module of the package and a name that a program imports from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("radiounet."):
            yield from ((node.module.removeprefix("radiounet."), one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "radiounet":
            yield from ((one.name, None) for one in node.names)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imported_names_exist(path):
    package = {path.stem for path in PACKAGE.glob("*.py")} | defined("__init__")
    for module, name in imported(path):
        assert module in package
        assert name is None or name in defined(module), f"{module} has no {name}"


def test_programs_are_looked_at():
    assert {"benchmarks/outside_scores.py", "scripts/segment.py"} <= {
        str(path.relative_to(ROOT)) for path in PROGRAMS
    }
    assert ("errors", "ConfigError") in set(imported(PACKAGE / "config.py"))
