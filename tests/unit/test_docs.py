"""The documentation: links, pages, and commands that it shows."""

import importlib.util
import re
from pathlib import Path

import pytest

from radiounet.measuring.columns import PAGE, TABLES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FOLDERS = (".github", "benchmarks", "config", "docs", "resources", "workflow")
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md")))
    if not {"_build", "_generated"} & set(page.parts)
)
SITE = [page for page in PAGES if DOCS in page.parents]


def fenced(text):
    """Lines of fenced blocks without a language, joined where they go on."""
    blocks = re.findall(r"^ *```(.*)\n((?:.*\n)*?) *```$", text, re.MULTILINE)
    lines = "\n".join(body for language, body in blocks if not language)
    return [line.split("  #")[0].strip() for line in lines.replace("\\\n", " ").splitlines()]


def in_tables(text):
    """Commands in the first cells of tables."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def commands(program):
    """All commands of a program that a page shows, with the name of the page."""
    found = [
        (page.relative_to(ROOT).as_posix(), line)
        for page in PAGES
        for line in (*fenced(page.read_text()), *in_tables(page.read_text()))
    ]
    return [(page, line) for page, line in found if line.split() and line.startswith(f"{program} ")]


def test_there_are_pages():
    assert {ROOT / "README.md", ROOT / "CONTRIBUTING.md", DOCS / "index.md", DOCS / "tutorial.md"} <= set(
        PAGES
    )
    assert len(SITE) > 20


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_the_picture_of_the_front_page_is_small():
    assert 10_000 < (DOCS / "images" / "found.png").stat().st_size <= 150_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    targets = [link.split("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    made = [target for target in targets if "_generated/" not in target]
    assert [target for target in made if not (page.parent / target).exists()] == []


def test_every_page_is_in_one_contents():
    shown = []
    for page in SITE:
        for body in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL):
            names = [line for line in body.splitlines() if line and not line.startswith(":")]
            shown += [(page.parent / f"{name}.md").resolve() for name in names if "_generated" not in name]
    assert sorted(shown) == [page for page in SITE if page != DOCS / "index.md"]


def test_every_column_of_every_table_can_be_linked():
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("from_code", DOCS / "_ext" / "from_code.py")
    from_code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(from_code)
    page = from_code.columns_page()
    assert (
        "| [[`redshift`](#clusters-redshift)]{#clusters-redshift} | number |  "
        "| Redshift of the input catalogue | `src.redshift` |"
    ) in page.splitlines()
    anchors = re.findall(r"^\| .*\{#([\w-]+)\} \|", page, re.MULTILINE)
    assert anchors == [f"{kind}-{name}" for kind, columns in TABLES.items() for name in columns]
    # addresses have hyphens for underscores
    assert len({anchor.replace("_", "-") for anchor in anchors}) == len(anchors)
    assert (ROOT / PAGE).is_file()


@pytest.mark.parametrize(("page", "line"), commands("make"))
def test_make_commands_name_targets(page, line):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = line.split()[1:]
    assert [word for word in words if "=" not in word and word not in targets] == []
    variables = {word.split("=")[0] for word in words if "=" in word}
    assert variables <= {"CONFIG", "MODEL", "MINUTES", "CORES"}


@pytest.mark.parametrize(("page", "line"), commands("snakemake"))
def test_snakemake_commands_name_targets_and_files(page, line):
    rules = (ROOT / "Snakefile").read_text() + "".join(
        path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")
    )
    names = set(re.findall(r"^ *rule (\w+):", rules, re.MULTILINE))
    words = line.split()
    if "--configfile" in words:
        config = words[words.index("--configfile") + 1]
        assert (ROOT / config).is_file() or config in ("mine.yaml", "published.yaml", "demo/dr2.yaml")
    for option in ("--profile", "--workflow-profile"):
        if option in words:
            profile = words[words.index(option) + 1].removeprefix("/path/to/clone/profiles/")
            assert (ROOT / "workflow" / "profiles" / profile / "config.yaml").is_file()
    values = (
        "--cores",
        "--jobs",
        "--configfile",
        "--profile",
        "--workflow-profile",
        "--quiet",
        "--directory",
    )
    takes_words = ("--config", "--until", "--forcerun")
    left, skip = [], False
    for before, word in zip(words, words[1:], strict=False):
        skip = before in takes_words or (skip and not word.startswith("-"))
        if not (word.startswith("-") or before in values or skip):
            left.append(word)
    assert [word for word in left if word not in names and not word.startswith("results/")] == []
    for word in words:
        if word.startswith("pointing=") or word.startswith("only="):
            assert "rerun" in words


@pytest.mark.parametrize(("page", "line"), commands("python"))
def test_python_commands_name_programs(page, line):
    program = line.split()[1]
    if program != "-m":
        assert (ROOT / program).is_file()


@pytest.mark.parametrize(("page", "line"), commands("radiounet"))
def test_radiounet_commands_name_verbs_and_options(page, line, capsys, monkeypatch):
    cli = pytest.importorskip("radiounet.running.cli")
    monkeypatch.setenv("COLUMNS", "200")
    verb = line.split()[1]
    if verb.startswith("-"):
        return
    assert verb in cli.VERBS
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    known = set(re.findall(r"--[a-z][a-z0-9-]+", capsys.readouterr().out))
    assert set(re.findall(r"--[a-z][a-z0-9-]+", line)) <= known | {"--help"}


def test_pages_name_keys_of_the_configuration():
    """Dotted keys such as `archive.download.attempts` exist."""
    reference = (ROOT / "config" / "README.md").read_text()
    keys = set(re.findall(r"^\| `([\w.\[\]]+)` \|", reference, re.MULTILINE))
    sections = {key.split(".")[0] for key in keys if "." in key}
    prefixes = {".".join(key.split(".")[:count]) for key in keys for count in range(1, 5)}
    for page in (*SITE, ROOT / "CONTRIBUTING.md"):
        for key in re.findall(r"`([a-z]\w*(?:\.\w+)+)`", page.read_text()):
            if key.split(".")[0] in sections and not key.endswith((".html", ".json")):
                assert key in prefixes, f"{page.name}: {key}"


def test_pages_name_files_of_the_repository():
    folders = "benchmarks|config|envs|resources|scripts|tests|workflow"
    made = ("resources/models/radio-unet-original", "resources/models/tuned")
    named = [
        (page.relative_to(ROOT).as_posix(), name)
        for page in PAGES
        if page.name != "CHANGELOG.md"
        for name in re.findall(rf"`((?:{folders})/[\w./+-]+)`", page.read_text())
    ]
    assert [one for one in named if not (ROOT / one[1]).exists() and one[1] not in made] == []
