"""Of the tests of downloads, and of disks that are full."""

import errno
from pathlib import Path

import pytest

from servers import OTHER


@pytest.fixture
def plain_network(monkeypatch, tmp_path):
    """No proxy, and of credentials only what a test writes to ``netrc``."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("socketserver.BaseServer.serve_forever.__defaults__", (0.01,))  # stops at once


@pytest.fixture
def fill_disk(monkeypatch):
    """Have the n-th call of a function find the disk full; named by its owner and its name."""

    def fill(owner, name, number):
        real, calls = getattr(owner, name), []

        def full(*args, **options):
            calls.append(args)
            if len(calls) == number:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **options)

        monkeypatch.setattr(owner, name, full)

    return fill


@pytest.fixture
def archive(tmp_path) -> Path:
    """Folder of a server, with one file."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "image.fits").write_bytes(OTHER)
    return folder


@pytest.fixture
def target(tmp_path) -> Path:
    """Where a file is to be."""
    return tmp_path / "here" / "image.fits"
