"""Passwords and tokens go to the host they are of, and into nothing that is written."""

import json
import logging
import shutil
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64decode
from dataclasses import asdict
from http.server import ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import pytest

import radiounet
from radiounet.errors import ConfigError, RadioUNetError, TransientError
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.urls import has_credentials, public_text
from radiounet.simulation.small_survey import ArchiveHandler
from radiounet.survey.archive import fetch, fetch_candidates
from radiounet.survey.http_client import RedirectError
from servers import CONTENT, LENGTH, answer, cut, raw, redirect, rest, server, slowly

OPTIONS = DownloadOptions(attempts=4, backoff_s=0, timeout_s=5)
ONCE = DownloadOptions(attempts=1, backoff_s=0, timeout_s=5)
SCRIPTS = Path(radiounet.__file__).parents[1]
IMPATIENT = DownloadOptions(attempts=1, backoff_s=0, timeout_s=0.4)
pytestmark = pytest.mark.usefixtures("plain_network")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"]
    command += ["-addext", names, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


class TwoDoors:
    """The same answers over https and http; what was asked, and with which password."""

    def __init__(self, certificate):
        self.answers, self.seen = {}, []
        outer = self

        class Handler(ArchiveHandler):
            def do_GET(self):
                kind = "https" if self.server is outer.servers["https"] else "http"
                given = self.headers["Authorization"]
                password = b64decode(given.split()[1]).decode() if given else None
                outer.seen.append((kind, self.headers["Host"].partition(":")[0], password))
                outer.answers[self.path](self)

        self.servers = {kind: ThreadingHTTPServer(("127.0.0.1", 0), Handler) for kind in ("http", "https")}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        secured = self.servers["https"]
        secured.socket = context.wrap_socket(secured.socket, server_side=True)
        for one in self.servers.values():
            one.daemon_threads = True
            threading.Thread(target=one.serve_forever, daemon=True).start()

    def url(self, kind, path, host="127.0.0.1"):
        return f"{kind}://{host}:{self.servers[kind].server_port}{path}"

    def close(self):
        for one in self.servers.values():
            one.shutdown()
            one.server_close()


@pytest.fixture
def doors(certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    doors = TwoDoors(certificate)
    yield doors
    doors.close()


def write_netrc(tmp_path, *entries):
    (tmp_path / "netrc").write_text("".join(f"{entry}\n" for entry in entries))


MINE = "machine 127.0.0.1 login me password hunter2"


@pytest.mark.parametrize("way", [["plain"], ["again", "plain"]])
@pytest.mark.parametrize("entry", [MINE, "default login me password hunter2", None])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_redirect_leads_from_https_to_http(doors, target, tmp_path, way, entry, host):
    write_netrc(tmp_path, *([entry] if entry else []))
    doors.answers = {
        "/again": redirect(doors.url("https", "/plain")),
        "/plain": redirect(doors.url("http", "/image.fits", host)),
        "/image.fits": answer(200, CONTENT),
    }
    with pytest.raises(RedirectError, match="from https to unencrypted"):
        fetch(doors.url("https", f"/{way[0]}"), target, ONCE)
    assert {kind for kind, _, _ in doors.seen} == {"https"}
    assert {password for _, _, password in doors.seen} == ({"me:hunter2"} if entry else {None})


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([MINE], ["me:hunter2", None]),
        ([MINE, "default login you password other"], ["me:hunter2", None]),
        (["default login you password other"], ["you:other", None]),
        (["machine localhost login you password other"], [None, "you:other"]),
        ([MINE, "machine LocalHost login you password other"], ["me:hunter2", "you:other"]),
        ([], [None, None]),
        (["machine 127.0.0.1 login mé password påss"], ["mé:påss", None]),
    ],
)
@pytest.mark.parametrize("kind", ["http", "https"])
def test_each_host_is_given_its_own_credentials_only(doors, target, tmp_path, entries, expected, kind):
    write_netrc(tmp_path, *entries)
    doors.answers = {
        "/there": redirect(doors.url(kind, "/image.fits", "localhost")),
        "/image.fits": answer(200, CONTENT),
    }
    fetch(doors.url(kind, "/there"), target, ONCE)
    assert doors.seen == [
        (kind, host, password) for host, password in zip(("127.0.0.1", "localhost"), expected, strict=True)
    ]
    assert target.read_bytes() == CONTENT


def test_trickle_over_https_is_ended(doors, target):
    doors.answers = {"/image.fits": raw(LENGTH, slowly())}
    started = time.monotonic()
    with pytest.raises(TransientError, match="too slow"):
        fetch(doors.url("https", "/image.fits"), target, IMPATIENT)
    assert time.monotonic() - started < 5


def test_netrc_that_cannot_be_read_is_said_without_its_words(archive, target, tmp_path, caplog):
    write_netrc(tmp_path, "machine 127.0.0.1 login me passwort hunter2")
    with server(archive) as (url, asked):
        fetch(f"{url}/image.fits", target, ONCE)
    assert "netrc cannot be read (line 1): no credentials are sent" in caplog.text
    assert "hunter2" not in caplog.text
    assert asked[0].headers["Authorization"] is None


SECRETS = [
    "token=hunter2",
    "a=1&access_token=hunter2&b=2",
    "authz=hunter2",
    "X-Amz-Signature=hunter2",
    "PASSWORD=hunter2",
    "api_key=hunter2",
]


@pytest.mark.parametrize("query", SECRETS)
@pytest.mark.parametrize(
    "send",
    [answer(200, CONTENT), answer(404), answer(401), answer(503), cut(), answer(200, b"<html>"),
     answer(200, CONTENT[:-2880]), redirect("/moved?token=hunter2"), rest(), raw(b"noise"), None],
)  # fmt: skip
def test_secrets_in_a_query_are_sent_and_never_shown(archive, target, caplog, query, send):
    with server(archive, repeat(send or answer(200, CONTENT))) as (url, asked):
        place = f"{url}/{{file}}?{query}"
        if send is None:  # nobody listens
            place = f"http://127.0.0.1:9/{{file}}?{query}"
        shown = ""
        try:
            fetched = fetch_candidates(place, ["image.fits"], target, ONCE, {})
            shown = json.dumps(asdict(fetched))
        except RadioUNetError as error:
            shown = f"{error} {getattr(error, 'file', '')} {error.__cause__}"
        assert all("hunter2" in request.path for request in asked)
    visible = shown + "".join(r.getMessage() for r in caplog.records if r.levelno >= logging.INFO)
    assert "hunter2" not in visible
    assert "image.fits" in visible


@pytest.mark.parametrize(
    "send", [answer(200, CONTENT), answer(404), answer(200, b"<html>"), cut(ETag='"1"'), answer(401)]
)
def test_no_file_of_a_stage_holds_a_secret(archive, target, send):
    """Image, record of its origin, stand-ins of rejected products, parts, log and standard error."""
    folder = target.parent
    outputs = ["--image", folder / "image.fits", "--source", folder / "source.json"]
    with server(archive, repeat(send)) as (url, asked):
        options = {"mosaic": f"{url}/{{mosaic}}/{{file}}?token=hunter2", "mosaic_files": ["a.fits", "b.fits"]}
        command = [sys.executable, SCRIPTS / "fetch_mosaic.py", "--mosaic", "P1", "--on-reject", "continue"]
        archive = {"dr2": options, "download": ONCE.model_dump()}
        command += ["--settings", json.dumps({"archive": archive})]
        done = subprocess.run(
            [*command, *outputs, "--log", folder / "log.txt"], capture_output=True, text=True, check=False
        )
        assert all(request.path.endswith("?token=hunter2") for request in asked)
    written = {path.name: path.read_bytes() for path in folder.rglob("*")}
    assert b"token=***" in b"".join(written.values())
    assert not [name for name, content in written.items() if b"hunter2" in content]
    assert "hunter2" not in done.stderr + done.stdout


def test_certificates_that_are_not_there_are_named(target, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/certificates.pem")
    with pytest.raises(TransientError, match="cannot be requested: .*/nowhere/certificates.pem"):
        fetch("https://127.0.0.1:9/image.fits", target, ONCE)


@pytest.mark.parametrize("scheme", ["http", "https", "file", "ftp"])
@pytest.mark.parametrize("user", ["me:hunter2@", "hunter2@", ":hunter2@", "me:hun@ter2@", "me:x/hunter2@"])
@pytest.mark.parametrize("path", ["/{mosaic}.fits", "/{nosuch}.fits", "/{", ""])
def test_credentials_in_a_url_of_any_kind_are_refused_and_never_shown(target, scheme, user, path, caplog):
    with pytest.raises(ConfigError, match="credentials do not belong in a URL") as caught:
        fetch_candidates(f"{scheme}://{user}host{path}", ["-"], target, ONCE, {}, mosaic="P1")
    with pytest.raises(ConfigError, match="credentials do not belong in a URL") as again:
        fetch(f"{scheme}://{user}host{path}", target, ONCE)
    shown = str(caught.value) + str(again.value) + caplog.text
    assert "ter2" not in shown
    assert "hun" not in shown


@pytest.mark.parametrize("start", ["http:/", "https:", "https:\\\\", "HTTP:///"])
def test_credentials_in_a_mistyped_url_are_not_shown_either(target, start):
    with pytest.raises(ConfigError) as caught:
        fetch(f"{start}me:hunter2@host/image.fits", target, ONCE)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://[::1", "https://host:port/x", "http://h:99999/"]
)
def test_what_cannot_be_a_url_is_a_mistake_in_the_configuration(target, url):
    with pytest.raises(ConfigError, match="cannot be a URL"):
        fetch(url, target, OPTIONS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host:80/a?b=c", "https://host:80/a?b=c"),
        ("from ftp://me@host/a to //x:y@z/b", "from ftp://host/a to //z/b"),
        ("https://me:p@w@host/a", "https://host/a"),
        ("https://me:p/w@host/a", "https://host/a"),
        ("https://me:p#w@host/a", "https://host/a"),
        ("https://me:1/w@host/a", "https://me:1/w@host/a"),  # a host with a port, and a path with an @
        ("https://host/a@b/c", "https://host/a@b/c"),
        ("https://host/a?mail=a@b", "https://host/a?mail=a@b"),
        ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
        ("https://host/?Token=x&b=c#d", "https://host/?Token=***&b=c#d"),
        ("(https://host/?b=c&sig_token=x) and more", "(https://host/?b=c&sig_token=***) and more"),
        ("https://vo.astron.nl/tap/sync?REQUEST=doQuery&QUERY=SELECT+a,b", None),
        ("/data/P1+2 (new)/image@3.fits", None),
        ("me@host.org", None),
    ],
)
def test_what_is_shown_of_a_url(text, shown):
    assert public_text(text) == (text if shown is None else shown)


def test_at_sign_in_a_path_or_query_is_no_credential():
    for url in ("https://host/a@b", "https://host/?a=b@c", "/data/a@b.fits", "a//b@c", "file:///a@b"):
        assert not has_credentials(url)
    for url in ("https://a@b/", "//a:b@c/d", "https://a:b/c@d/"):
        assert has_credentials(url)
