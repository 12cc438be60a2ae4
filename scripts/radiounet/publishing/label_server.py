"""A page on 127.0.0.1 that shows candidates one after another, and takes their labels."""

import base64
import json
import logging
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from radiounet.errors import BadDataError, ConfigError, RadioUNetError
from radiounet.images.words import one_line
from radiounet.measuring.labels import plain_name
from radiounet.publishing.catalogue_objects import CatalogueObject, cut, part_of
from radiounet.publishing.labelling import LABELS, LabelTable
from radiounet.publishing.site import ASSETS, STYLE
from radiounet.publishing.site_pictures import draw_pictures
from radiounet.publishing.site_tables import row_of

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
STATIC = {
    "": (ASSETS / "label.html", "text/html"),
    "core.js": (ASSETS / "core.js", "text/javascript"),
    "label.js": (ASSETS / "label.js", "text/javascript"),
    STYLE.name: (STYLE, "text/css"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src data:; connect-src 'self'"
)
LONGEST_BODY = 10_000


class Labelling:
    """Candidates of a run, all clusters or all islands, and the table of their labels.

    Safe for several threads.
    """

    def __init__(self, sources: list[CatalogueObject], table: LabelTable):
        self._sources = {plain_name(one_line(source.row["name"])): source for source in sources}
        self._kind = sources[0].kind
        self._table, self._lock = table, threading.Lock()
        self._skipped: list[str] = []
        self._note = ""

    def state(self) -> dict[str, Any]:
        """The next candidate, with its pictures, and how many are labelled."""
        with self._lock:
            self._table.read()
            known, note = self._table.names(self._kind), self._note
            self._note = ""
            left = [name for name in self._sources if name not in known]
            name = next((one for one in left if one not in self._skipped), None)
            if name is None and left:
                self._skipped.clear()
                name = left[0]
            done = len(self._sources) - len(left)
        counts: dict[str, Any] = {"done": done, "total": len(self._sources), "labels": list(LABELS)}
        return counts | {"note": note, "candidate": name and _shown(self._sources[name])}

    def act(self, action: str, name: str, label: str) -> None:
        """Take a label, take the last one back, or go on without one.

        Raises
        ------
        ValueError
            No such action, candidate or label.
        """
        key = plain_name(name)
        with self._lock:
            if action == "undo":
                back = self._table.undo(self._kind, self._sources)
                self._skipped = [one for one in self._skipped if back is None or one != plain_name(back)]
            elif action == "skip" and key in self._sources:
                self._skipped.append(key)
            elif action == "label" and key in self._sources and label in LABELS:
                if other := self._table.add(self._sources[key], label):
                    self._note = "{who} has already labelled {name}: {label}".format(**other)
            else:
                raise ValueError("no such action, candidate or label")


def _shown(source: CatalogueObject) -> dict[str, Any]:
    """One candidate as the page shows it."""
    row = row_of(source.row)
    shown = {key: one_line(value) if isinstance(value, str) else value for key, value in row.items()}
    try:
        cutout, _ = cut(source)
        pictures = draw_pictures(cutout, part_of(source.files["probability"], cutout), *source.place)
    except (BadDataError, ConfigError, FileNotFoundError) as error:
        return {"row": shown, "pictures": {}, "missing": one_line(error)}
    files = {
        kind: f"data:image/jpeg;base64,{base64.b64encode(one).decode()}"
        for kind, one in pictures.files.items()
    }
    return {"row": shown, "pictures": files, "view": pictures.view}


class LabelServer(ThreadingHTTPServer):
    """Server of the page.

    Requests must name this host, the token and, where they change something, this origin.

    Parameters
    ----------
    labelling : Labelling
    port : int, optional
        0 for a free one.

    Attributes
    ----------
    token : str
        Part of the address that nobody else knows.
    url : str
        Address of the page.
    """

    def __init__(self, labelling: Labelling, port: int = 0):
        self.labelling, self.token = labelling, secrets.token_urlsafe(24)
        super().__init__((HOST, port), _Handler)
        self.url = f"http://{HOST}:{self.server_port}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    """Requests of the page."""

    server: LabelServer

    def do_GET(self) -> None:
        """Answer with the page, its parts, or the next candidate."""
        place = self._place()
        if place in STATIC:
            path, kind = STATIC[place]
            self._answer(200, kind, path.read_bytes())
        elif place == "state":
            self._give(self.server.labelling.state)
        else:
            self._refuse()

    def do_POST(self) -> None:
        """Take a label."""
        said = self.headers.get("Content-Length", "")
        # so short that it is no number that takes long to read, or that Python refuses
        length = int(said) if said.isdecimal() and len(said) <= len(str(LONGEST_BODY)) else 0
        own = self.headers.get("Origin") == f"http://{self.headers.get('Host')}"
        is_json = self.headers.get("Content-Type") == "application/json"
        if self._place() != "act" or not own or not is_json or not 0 < length <= LONGEST_BODY:
            self._refuse()
            return
        try:
            asked = json.loads(self.rfile.read(length))
            words = [str(asked.get(key, "")) for key in ("action", "name", "label")]
        except (ValueError, AttributeError):
            self._refuse(400)
            return

        def act() -> dict[str, Any]:
            self.server.labelling.act(*words)
            return self.server.labelling.state()

        self._give(act)

    def _place(self) -> str | None:
        """What is asked for; None without the token, or under another name of this machine."""
        names = {f"{name}:{self.connection.getsockname()[1]}" for name in (HOST, "localhost")}
        begin, path = f"/{self.server.token}/", self.path.partition("?")[0]
        own = self.headers.get("Host") in names and secrets.compare_digest(
            path[: len(begin)].encode(), begin.encode()
        )
        return path[len(begin) :] if own else None

    def _give(self, make: Callable[[], dict[str, Any]]) -> None:
        """Answer with a state, or say why there is none."""
        try:
            content = json.dumps(make()).encode()
        except ValueError:
            self._refuse(400)
        except (RadioUNetError, OSError) as error:  # of the table of labels
            logger.warning("%s", one_line(error))
            self._answer(500, "text/plain", one_line(error).encode())
        else:
            self._answer(200, "application/json", content)

    def _refuse(self, status: int = 403) -> None:
        self.close_connection = True
        self._answer(status, "text/plain", b"refused\n")

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        for name, value in (
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the token out of logs."""
