r"""Text from outside, and how it is written: the only place that escapes.

Names of clusters, fields and models, units and other FITS cards, file names, answers of
servers and reasons of rejection are whatever somebody else wrote. Each kind of document has
its own meaning for ``<``, ``|``, ``$`` or a line break, so each has one function here through
which all of it goes:

=================  ==================  ===============================================
document           function            what it does
=================  ==================  ===============================================
HTML               `write_page`        renders a template, escapes every value; `html_text` elsewhere
data of a page     `write_script`      one call in ASCII; the page shows it as text
Markdown           `markdown_table`    escapes every cell; `markdown` elsewhere
figures            `save_figure`       draws every text as it is, none as mathematics
FITS headers       `printable`         printable ASCII
logs               `one_line`          one line, control characters written out
catalogues         `writable`          spaces for what ends a line or no XML can hold
=================  ==================  ===============================================

JSON, VOTable and CSV are then escaped by the libraries that write them.
`tests/unit/images/test_words.py` checks that no other module escapes text.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&$]|:(?=//)|(?<=www)\.")
"""What begins markup in CommonMark or in GitHub's dialect, links from bare addresses included."""

_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}

UNWRITABLE = {"Cc", "Cs", "Zl", "Zp"}  # Unicode: control characters, surrogates, line and paragraph ends
NON_CHARACTERS = "\ufffe\uffff"


def visible(text: str) -> str:
    r"""Text with control characters written out, such as ``\x1b``; line breaks stay.

    Written out is what a reader cannot see: control characters, marks that reverse the
    direction of writing, and halves of surrogate pairs, with which Python stands for
    bytes of a file name that are no text.
    """
    if text.isprintable():  # a picture in a page is a text of a million characters
        return text
    return "".join(c if _is_seen(c) else _code(c) for c in text)


def _is_seen(character: str) -> bool:
    return character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def one_line(text: object) -> str:
    r"""Text on one line: blanks and line breaks as single spaces, control characters as ``\x1b``."""
    return visible(" ".join(str(text).split()))


def writable(text: str) -> str:
    """Text that every table format can hold: what ends a line, or no XML can hold, becomes a space."""
    unwritable = (c for c in set(text) if unicodedata.category(c) in UNWRITABLE or c in NON_CHARACTERS)
    return text.translate(dict.fromkeys(map(ord, unwritable), " "))


def printable(text: object) -> str:
    """Text as a FITS card can hold it: printable ASCII, a question mark for anything else."""
    return "".join(c if " " <= c <= "~" else "?" for c in str(text))


def enumerated(texts: Sequence[str]) -> str:
    """One or more texts as a sentence lists them, such as ``A, B and C``."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def outside_text(value: float, low: float, high: float, digits: int = 6) -> str:
    """Text of a number outside a range in so many digits, `digits` or more, that they are outside, too."""
    texts = (f"{value:.{count}g}" for count in range(digits, 18))
    return next(text for text in texts if not low <= float(text) <= high)


def parse_boolean(text: str) -> bool:
    """Truth value of a cell of a text table: true or false, T or F, 1 or 0, in any case.

    Raises
    ------
    ValueError
        Any other text.
    """
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return value


def html_text(text: object) -> str:
    """Text on one line of HTML, with nothing in it that is markup."""
    from html import escape

    return escape(one_line(text), quote=False)


def markdown(text: object) -> str:
    """Text on one line of Markdown, with nothing in it that is markup."""
    return _MARKDOWN.sub(lambda found: "\\" + found[0], one_line(text))


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table, every cell escaped.

    Raises
    ------
    ValueError
        A row is not as long as the head.
    """
    wrong = [row for row in rows if len(row) != len(heads)]
    if wrong:
        raise ValueError(f"a row of {len(wrong[0])} cells under {len(heads)} heads: {wrong[0]}")
    escaped = [[markdown(cell) for cell in row] for row in (heads, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    return [lines[0], "|---" * len(heads) + "|", *lines[1:]]


def write_page(path: str | Path, template: Path, **content: object) -> None:
    """Write a page of HTML from a template, which may include others of its folder.

    Every value is escaped, whatever the template is called, and control characters are
    written out. A name that `content` lacks is an error and no blank.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from radiounet.images.writing import atomic

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_readable,
    )
    page = environment.get_template(template.name).render(**content)
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_script(path: str | Path, name: str, content: object) -> None:
    """Write data for a page of the results site: a script that calls ``Site.load(name, content)``.

    A page that was opened as a file may load scripts, and nothing else. The script is ASCII; control
    characters in texts are written out. A file that would not change is left alone.
    """
    text = f"Site.load({json.dumps(name)},{json.dumps(_shown(content), separators=(',', ':'))});\n"
    write_if_changed(path, text.encode("ascii"))


def _shown(content: object) -> object:
    """Data with every text as a reader can see it, and no number that JSON does not have."""
    if isinstance(content, str):
        return one_line(content)
    if isinstance(content, dict):
        return {one_line(key): _shown(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_shown(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_if_changed(path: str | Path, content: bytes) -> None:
    """Write a file, unless it holds this already."""
    from radiounet.images.writing import atomic

    if not (Path(path).is_file() and Path(path).read_bytes() == content):
        with atomic(path) as temporary:
            temporary.write_bytes(content)


def _readable(value: object) -> object:
    """What a template writes in place of a value; what is HTML already, such as a macro's, stays."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def save_figure(figure: Figure, target: Path | BinaryIO, dpi: int) -> None:
    """Write a figure as PNG; its titles, labels, legends and annotations are plain text.

    Its entry ``Software`` names the version of this library and the hash of its code.

    Matplotlib takes text between two dollar signs for mathematics, and stops at what it
    cannot parse. Only its own tick labels, such as powers of ten, stay what they are.
    """
    from matplotlib import rc_context
    from matplotlib.text import Annotation, Text

    from radiounet import __version__
    from radiounet.images.provenance import code_hash

    for text, of_tick in _texts(figure):
        text.set_usetex(False)
        # other kinds are tick labels too, those of axes on the sky
        if type(text) in (Text, Annotation) and not of_tick:
            text.set_parse_math(False)
            text.set_text(visible(text.get_text().expandtabs(1)))
    with rc_context({"text.usetex": False}):
        made_with = {"Software": f"radiounet {__version__}, code {code_hash()}"}
        figure.savefig(target, dpi=dpi, format="png", metadata=made_with)


def _texts(artist: Artist) -> Iterator[tuple[Text, bool]]:
    """Texts of a figure, and whether they are what matplotlib writes at the ticks of an axis.

    Ticks that do not exist yet are not made: the figure makes them again when it is drawn.
    """
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for child in artist.get_children():
        if isinstance(child, Axis):
            yield child.label, False
            yield child.offsetText, True
            ticks = (*child.majorTicks, *child.minorTicks)
            yield from ((label, True) for tick in ticks for label in (tick.label1, tick.label2))
        else:
            if isinstance(child, Text):
                yield child, False
            yield from _texts(child)
