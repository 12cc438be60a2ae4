"""What programs import by name is there, also in those that no other test runs."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "scripts/radiounet"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent for path in PACKAGE.rglob("*/__init__.py"))
PROGRAMS = [*MODULES, *(path for folder in ("scripts", "benchmarks") for path in ROOT.glob(f"{folder}/*.py"))]
PROGRAMS += ROOT.glob("tests/**/*.py")
IMPORT = re.compile(r"^ *from (radiounet[\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)


def place(module):
    """File of a module, by its dotted name; a package's is its `__init__`."""
    path = ROOT / "scripts" / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def defined(path):
    """Names that a module of the package defines at its top level, those that it imports left out."""
    names, waiting = set(), list(ast.parse(path.read_text()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, ast.Import | ast.ImportFrom):  # of assignments the names, of conditions all
            waiting += ast.iter_child_nodes(node)
    return names


@cache
def imported(path):
    """Pairs of a module of the package and a name that a program imports from it."""
    return [
        (node.module, one.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "radiounet"
        for one in node.names
    ]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imported_names_are_defined_where_they_are_imported_from(path):
    for module, name in imported(path):
        assert place(module).is_file(), module
        assert name in defined(place(module)) or place(f"{module}.{name}").is_file(), (
            f"{module} has no {name}"
        )


def test_rules_import_what_is_there():
    found = IMPORT.findall((ROOT / "workflow/rules/common.smk").read_text())
    assert found
    for module, names in found:
        assert set(re.findall(r"\w+", names)) <= defined(place(module))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_of_the_package_import_names_and_not_modules(path):
    # the hash of a stage's code follows imports of names
    modules = {module for module, _ in imported(path)} - {"radiounet"}
    assert not [module for module in modules if place(module).name == "__init__.py"]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_lists_its_modules(room):
    listed = importlib.import_module(".".join(("radiounet", *room.relative_to(PACKAGE).parts))).__all__
    modules = [path.stem for path in room.glob("*.py") if path.stem != "__init__"]
    assert listed == sorted([*modules, *(path.parent.name for path in room.glob("*/__init__.py"))])


def test_programs_are_looked_at():
    assert {"benchmarks/outside_scores.py", "scripts/train.py"} <= {
        str(path.relative_to(ROOT)) for path in PROGRAMS
    }
    assert ("radiounet.errors", "ConfigError") in set(imported(PACKAGE / "settings/config.py"))


@pytest.mark.parametrize("script", sorted(ROOT.glob("scripts/*.py")), ids=lambda path: path.stem)
def test_only_a_training_depends_on_the_room_of_learning(script):
    """Its modules would be part of the hash of a stage's code: an edit of one would redo a survey."""
    reached, waiting = set(), {script}
    while waiting:
        path = waiting.pop()
        reached.add(path)
        found = {place(module) for module, _ in imported(path)}
        waiting |= {one for one in found if one.is_file()} - reached
    learns = any("learning" in path.relative_to(ROOT).parts for path in reached)
    assert learns == (script.stem in ("train", "evaluate", "train_leg"))
