"""Text from outside in every kind of document, and that all of it goes through `radiounet.images.words`."""

import ast
import io
import logging
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from PIL import Image

from radiounet.images import products as products_module
from radiounet.images.products import Products, comparison_files
from radiounet.images.provenance import provenance
from radiounet.images.rejections import Rejection, read_rejection, write_rejected
from radiounet.images.words import (
    enumerated,
    html_text,
    markdown,
    markdown_table,
    one_line,
    outside_text,
    parse_boolean,
    printable,
    save_figure,
    visible,
    write_page,
)
from radiounet.measuring.catalogue_files import write_catalogue
from radiounet.measuring.columns import CLUSTERS, make_table
from radiounet.mosaicking.comparison import compare_mosaics
from radiounet.publishing.site import STYLE
from radiounet.running.log import FORMAT, LineFormatter
from radiounet.running.progress import Progress
from radiounet.running.snakemake_adapter import PlannedJob

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "scripts" / "radiounet" / "publishing" / "pages"
PACKAGE = sorted((ROOT / "scripts").rglob("*.py"))
HOSTILE = {
    "element": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(2)>",
    "attribute": '" onmouseover="alert(3)" x=\'',
    "entity": "&lt;b&gt; &#60;i&#62;",
    "comment": "--><svg/onload=alert(4)><!--",
    "address": "javascript:alert(5)",
    "template": "{{ 7*7 }}{% include 'x' %}",
    "cell": "a | b\n| c | d |\n|---|---|",
    "link": "[b](javascript:alert(6)) ![c](//d) <https://e> https://f.g www.h.i",
    "emphasis": "**a** _b_ ~~c~~ `d` # e",
    "code": "``` a ` b",
    "backslash": "a\\|b\\$c\\",
    "mathematics": "$\\alpha_1$",
    "no mathematics": "$\\frac{$",
    "dollars": "$ $$ \\$ $",
    "terminal": "\x1b[2J\x1b]0;title\x07a\rb",
    "null": "a\x00b\x85c\x7f",
    "direction": "abc\u202egnp.exe",
    "bytes": "a\udcffb",
    "no character": "a\ufffeb",
    "lines": "a\r\nb\u2028c\u2029d\x0be\tf",
    "forged record": "x\n2026-11-26 18:00:00,000 ERROR radiounet.running.stage: all is lost",
    "not ASCII": "Größe µJy é",
    "long": "n" * 240,
    "private": "_x",
    "quotes": "it's ''quoted''",
}
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


class Page(HTMLParser):
    """Elements of a page with their attributes, and all its text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def shape(self):
        return [(tag, sorted(attributes)) for tag, attributes in self.elements]


@hostile
def test_one_line_is_one_and_shows_what_it_holds(text):
    line = one_line(text)
    assert line.isprintable()
    assert line == one_line(line)
    line.encode("utf-8")
    seen = [word for word in text.split() if word.isprintable()]
    assert all(word in line for word in seen)


def test_characters_that_cannot_be_seen_are_written_out():
    assert one_line("a\x1b[2J\x00\u202e\udcff\ufffe") == "a\\x1b[2J\\x00\\u202e\\udcff\\ufffe"
    assert one_line(" a\r\nb\u2028\xa0 c\t") == "a b c"
    assert visible("a\n\tb\x0b\r\u2029") == "a\n\tb\\x0b\\r\\u2029"


class Tables:
    """A page of Markdown with one table, as a reader sees it."""

    def __init__(self, lines):
        self.rows, self.kinds = [], set()
        parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
        for token in parser.parse("\n".join(lines)):
            if token.type == "tr_open":
                self.rows.append([])
            elif token.type == "inline":
                self.kinds |= {child.type for child in token.children}
                self.rows[-1].append("".join(child.content for child in token.children))


@hostile
def test_a_cell_of_markdown_reads_as_it_was_written(text):
    found = Tables(markdown_table(["name", text], [["a", text], [text, 1]]))
    assert found.rows == [["name", one_line(text)], ["a", one_line(text)], [one_line(text), "1"]]
    assert found.kinds <= {"text", "text_special"}
    # what GitHub makes a link or a formula of although CommonMark does not
    assert not re.search(r"(?<!\\)(\$|://|www\.)", markdown(text))


def test_a_row_must_be_as_long_as_the_head():
    with pytest.raises(ValueError, match="a row of 1 cells under 2 heads"):
        markdown_table(["a", "b"], [["c", "d"], ["e"]])


@hostile
def test_a_card_holds_any_text(tmp_path, text):
    header = fits.Header([("NAME", printable(text))])
    header.add_history(printable(text))
    header.extend(provenance(model=text))
    fits.PrimaryHDU(None, header).writeto(tmp_path / "a.fits")
    read = fits.getheader(tmp_path / "a.fits")
    assert read["NAME"] == read["MODEL"] == printable(text).rstrip()
    assert "".join(read["HISTORY"]).rstrip() == printable(text).rstrip()


@hostile
def test_a_votable_holds_any_line_of_text(tmp_path, text):
    name = one_line(text)
    values = {float: 1.0, int: 1, bool: True, str: "m"}
    row = {key: values[column.kind] for key, column in CLUSTERS.items()} | {"name": name}
    write_catalogue(make_table("clusters", [row], {"clusters": name}), tmp_path / "a.vot")
    assert Table.read(tmp_path / "a.vot")["name"].tolist() == [name]


@hostile
def test_a_log_record_is_one_line(text):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(FORMAT))
    logger = logging.Logger("radiounet.running.stage")
    logger.addHandler(handler)
    logger.warning("rejected %s: %s", "m", text)
    assert stream.getvalue().count("\n") == 1
    assert (
        stream.getvalue()
        .rstrip("\n")
        .endswith(f"WARNING radiounet.running.stage: rejected m: {one_line(text)}")
    )
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("died")
    assert stream.getvalue().replace("\n", "").replace("\t", "").isprintable()


def drawn(change=lambda text: None, **options):
    """Pixels of a figure with a text, changed in some way."""
    figure = Figure(figsize=(2, 1))
    change(figure.text(0.1, 0.5, "$x^2$"))
    stream = io.BytesIO()
    options.get("save", lambda f, to: f.savefig(to, dpi=50, format="png"))(figure, stream)
    with Image.open(stream) as picture:
        return picture.convert("RGB").tobytes()


def test_a_figure_shows_dollar_signs():
    as_they_are = drawn(lambda text: text.set_parse_math(False))
    assert as_they_are != drawn()
    assert drawn(save=lambda figure, to: save_figure(figure, to, 50)) == as_they_are


LATIN = [text for text in HOSTILE.values() if all(ord(c) < 0x250 or not c.isprintable() for c in text)]


def test_every_text_of_a_figure_is_plain():
    figure = Figure()
    panels = figure.subplots(2, 2).ravel()
    wanted = []
    for text, axes in zip(LATIN, np.resize(panels, len(LATIN)), strict=True):
        (line,) = axes.plot([1, 100], [1, 1000])
        axes.set(xscale="log", yscale="log")
        legend = figure.legend([line], [text], title=text)
        found = [axes.text(1, 1, text), axes.annotate(text, (1, 1)), figure.text(0, 0, text)]
        wanted += [(one, text) for one in (*found, *legend.get_texts(), legend.get_title())]
    for text, axes in zip(LATIN[-4:], panels, strict=True):
        axes.set(xlabel=text, ylabel=text)
        title = axes.set_title(text, loc="left")
        bar = figure.colorbar(axes.inset_axes([0, 0, 1, 0.3]).imshow([[0, 1]]), ax=axes, label=text)
        wanted += [(one, text) for one in (title, axes.xaxis.label, axes.yaxis.label, bar.ax.yaxis.label)]
    wanted.append((figure.suptitle(HOSTILE["no mathematics"]), HOSTILE["no mathematics"]))
    save_figure(figure, io.BytesIO(), 50)
    for one, text in wanted:
        assert (one.get_text(), one.get_parse_math()) == (visible(text).replace("\t", " "), False)
    ticks = [label for label in panels[0].get_xticklabels() if label.get_text()]
    assert ticks
    assert all("mathdefault" in label.get_text() and label.get_parse_math() for label in ticks)


@hostile
@pytest.mark.parametrize("suffix", ["fits", "h5", "ecsv", "json"])
def test_a_rejection_holds_any_text(tmp_path, suffix, text):
    path = tmp_path / f"a.{suffix}"
    write_rejected(path, Rejection("m", "tile", text, f"UnitError: {text}!"))
    found = read_rejection(path)
    # FITS has no blanks at the end of a text, and astropy's ECSV takes some line breaks for blanks
    kept = {"fits": lambda words: printable(words).rstrip(), "ecsv": one_line}.get(suffix, str)
    for written, read in ((text, found.file), (f"UnitError: {text}!", found.reason)):
        assert kept(read) == kept(visible(written))


def test_a_rejected_comparison_has_a_picture_and_says_why(tmp_path):
    files = comparison_files(str(tmp_path))
    assert {Path(path).name for path in files.values()} >= {"comparison.png", "comparison.json"}
    for path in files.values():
        write_rejected(path, Rejection("m", "compare_mosaic", "a.fits", "UnitError: $\\frac{$ " + "x" * 300))
    assert Path(files["picture"]).read_bytes().startswith(b"\x89PNG")


def test_a_comparison_writes_what_its_rule_declares_and_nothing_else(tmp_path):
    from stages import write_image

    image = str(write_image(tmp_path / "a.fits"))
    compare_mosaics(image, image, str(tmp_path / "out"))
    declared = sorted(Path(path).name for path in comparison_files(str(tmp_path / "out")).values())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == declared


def status_page(folder, word):
    """The page of a run with one failed and one rejected mosaic, in whose logs and headers a word stands."""
    folder.mkdir()
    products = Products(str(folder / "dr2"))
    log = folder / "tile.log"
    log.write_text(f"x ERROR radiounet.running.stage: NotFitsError: {one_line(word)}\n", encoding="utf-8")
    write_rejected(products.mask("two"), Rejection("two", "tile", one_line(word), one_line(word)))
    made = PlannedJob(2, "segment", "two", False, None, outputs=(products.mask("two"),))
    jobs = [PlannedJob(1, "segment", "one", True, None), made]
    progress = Progress(products, jobs, stream=io.StringIO()).start(logging.Logger("x"))
    for event in (
        {"event": "job_started", "jobs": [1]},
        {"event": "job_error", "jobid": 1, "log": [str(log)]},
    ):
        progress.emit(SimpleNamespace(rule_msg=word, **event))
    progress.end("failed")
    return Page(Path(products.status_page()).read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", LATIN)
def test_the_status_page_shows_what_logs_and_rejections_say(tmp_path, text):
    page = status_page(tmp_path / "a", text)
    assert page.shape() == status_page(tmp_path / "b", "harmless").shape()
    assert one_line(text) in page.text
    assert printable(one_line(text)) in page.text


@hostile
def test_a_text_of_html_has_no_element_and_reads_as_it_was_written(text):
    page = Page(f"<p>{html_text(text)}</p>")
    assert page.elements == [("p", {})]
    assert page.text == one_line(text)


def test_a_page_escapes_whatever_its_template_is_called(tmp_path):
    template = tmp_path / "a.txt.j2"
    template.write_text('<p title="{{ a }}">{{ a }}</p>')
    for number, text in enumerate(HOSTILE.values()):
        write_page(tmp_path / f"{number}.html", template, a=text)
        page = Page((tmp_path / f"{number}.html").read_text(encoding="utf-8"))
        assert page.elements == [("p", {"title": visible(text)})]
        assert page.text == visible(text)
    with pytest.raises(Exception, match="'a' is undefined"):
        write_page(tmp_path / "b.html", template)


# What follows reads the source: that there is one place, and that nothing goes past it


def templates():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [ROOT / name for name in listed.splitlines() if name.endswith((".j2", ".jinja", ".html", ".htm"))]
    return [path for path in found if path.parent != PAGES]


def test_pages_of_the_site_hold_no_value_and_parse_none():
    for path in [*PAGES.iterdir(), STYLE]:
        source = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source
        ), path
        assert path.suffix == ".js" or "{{" not in source, path


def test_templates_put_values_into_text_and_harmless_attributes_only():
    assert {path.parent for path in templates()} == {STYLE.parent}
    for path in templates():
        source = path.read_text()
        assert not re.search(r"\|\s*safe|Markup|autoescape|\{%\s*(import|extends)", source), path
        # a style sheet without values, see `test_pages_of_the_site_hold_no_value_and_parse_none`
        assert set(re.findall(r"\{%\s*include.*?%\}", source)) <= {'{% include "site.css" %}'}, path
        holes = re.sub(r"\{\{.*?\}\}", "HOLE", source, flags=re.DOTALL)
        holes = re.sub(r"\{%.*?%\}", "", holes, flags=re.DOTALL)
        page = Page(holes)
        assert "HOLE" in page.text
        for tag, attributes in page.elements:
            assert tag not in ("script", "iframe", "object", "embed", "base", "form", "link"), path
            assert "HOLE" not in tag
            for name, value in attributes.items():
                assert "HOLE" not in name, path
                assert not name.startswith("on"), path
                assert name not in ("srcdoc", "action", "srcset"), path
                assert name != "href" or re.fullmatch(
                    r"status\.html|publication/index\.html(#/[a-z]*)?", value
                ), path
                if "HOLE" in (value or "") and name != "title" and name != "alt":
                    assert (name, value) in [
                        ("src", "data:image/png;base64,HOLE"),
                        ("class", "HOLE"),
                        ("style", "width: HOLE%"),
                    ], path
        # an attribute without quotes would end at the first blank
        assert not re.search(r"=HOLE", holes), path
        style = re.search(r"<style>(.*?)</style>", holes, re.DOTALL)[1]
        assert "HOLE" not in style


def calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (400.0, 6, "400"),
        (360.0001, 6, "360.0001"),
        (np.nextafter(360.0, 361), 3, "360.0000000000001"),
        (-1e-9, 6, "-1e-09"),
        (2309.4, 4, "2309"),
        (float("inf"), 6, "inf"),
        (float("nan"), 6, "nan"),
    ],
)
def test_a_number_outside_is_outside_as_it_is_written(value, digits, text):
    assert outside_text(value, 0, 360, digits) == text


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.name)
def test_nothing_is_written_past_this_module(path):
    if path.name == "words.py":
        return
    assert not {"jinja2", "markupsafe", "html"} & set(imports(path))
    assert not {"savefig", "imsave", "print_png", "Markup"} & set(calls(path))
    # a figure that is laid out before it is saved reads mathematics in its texts
    assert not {"tight_layout", "get_window_extent", "get_tightbbox"} & set(calls(path))
    if path.name != "log.py":
        assert not {"basicConfig", "setFormatter"} & set(calls(path))
        assert "logging.Formatter" not in path.read_text()
    if path.name not in ("plan.py", "command_line.py"):  # names of rules and keys of the project's own
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
                assert not any(text.startswith("| ") or " | {" in text for text in texts), node.lineno


def test_the_module_is_where_this_test_looks():
    assert Path(products_module.__file__).parent / "words.py" in PACKAGE
    assert np.all([path.is_file() for path in templates()])


def test_truth_is_told_in_six_ways_in_any_case_and_in_no_other():
    for text in ("true", "TRUE", " True ", "t", "T", "1"):
        assert parse_boolean(text) is True
    for text in ("false", "FALSE", "False", "f", "F", "0"):
        assert parse_boolean(text) is False
    for text in ("", "yes", "2", "1.0", "None", "truee"):
        with pytest.raises(ValueError, match=re.escape(f"{text!r} is neither true nor false")):
            parse_boolean(text)


@pytest.mark.parametrize(("texts", "expected"), [("A", "A"), ("AB", "A and B"), ("ABC", "A, B and C")])
def test_a_list_reads_as_in_a_sentence(texts, expected):
    assert enumerated(list(texts)) == expected
