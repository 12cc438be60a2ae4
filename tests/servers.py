"""A server on 127.0.0.1 that misbehaves as told, and the file it holds."""

import io
import resource
import signal
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from astropy.io import fits

from radiounet.settings.archive import DownloadOptions
from radiounet.simulation.small_survey import ArchiveHandler, serve


def fits_bytes(fill: float) -> bytes:
    stream = io.BytesIO()
    fits.PrimaryHDU(np.full((60, 60), fill, np.float32)).writeto(stream)
    return stream.getvalue()


CONTENT = fits_bytes(1.0)  # 2,880 bytes of header; 14,400 of data, which fill 5 records exactly
OTHER = fits_bytes(2.0)
HALF = 3 * 2880
OPTIONS = DownloadOptions(attempts=4, backoff_s=0, timeout_s=5)
ONCE = DownloadOptions(attempts=1, backoff_s=0, timeout_s=5)
FOREVER_S = 20.0  # what has no end ends after this, far beyond what a test may take


def answer(status, body=b"", length=None, **headers):
    """Send this once, then close: a `length` beyond the body is a cut connection."""

    def send(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return send


def cut(body=CONTENT, at=HALF, **headers):
    return answer(200, body[:at], length=len(body), **headers)


def rest(body=CONTENT, at=HALF, total=None, **headers):
    """The part from `at` on, whether or not it was asked for."""
    where = f"bytes {at}-{len(body) - 1}/{total or len(body)}"
    return answer(206, body[at:], Content_Range=where, **headers)


@contextmanager
def server(root, answers=()):
    """Give these answers in turn, then the files below `root`."""
    asked, waiting = [], iter(answers)

    class Scripted(ArchiveHandler):
        def do_GET(self):
            asked.append(SimpleNamespace(path=self.path, headers=self.headers))
            send = next(waiting, None)
            if send:
                send(self)
            else:
                super().do_GET()

    with serve(root, Scripted) as url:
        yield url, asked


def left(target) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def raw(content: bytes, then=tuple):
    """Send these bytes as they are, then more of them until the client goes."""

    def send(handler):
        handler.close_connection = True
        try:
            handler.wfile.write(content)
            ends = time.monotonic() + FOREVER_S
            for block in then():
                if time.monotonic() > ends:
                    break
                handler.wfile.write(block)
        except OSError:
            handler.server.sent = "broken off by the client"

    return send


def slowly(block=b"x", every_s=0.02):
    def blocks():
        while True:
            time.sleep(every_s)
            yield block

    return blocks


def redirect(location, status=302, body=b""):
    return answer(status, body, **({} if location is None else {"Location": location}))


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 17280\r\n\r\n"


@contextmanager
def largest_file(size):
    """The operating system refuses files beyond this, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
