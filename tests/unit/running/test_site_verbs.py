"""Verbs that show a finished run."""

import errno
import os
import socket

import pytest

from radiounet.errors import ConfigError
from radiounet.publishing import label_server, labelling
from radiounet.running.site_verbs import label


@pytest.fixture
def taken():
    """A port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("code", [None, errno.EACCES, errno.EADDRNOTAVAIL])
def test_a_port_that_cannot_be_used_is_named_with_what_to_do(taken, tmp_path, monkeypatch, capfd, code):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(labelling, "candidates", lambda *about: [])
    monkeypatch.setattr(label_server, "Labelling", lambda *about: None)
    if code:
        monkeypatch.setattr(label_server.LabelServer, "__init__", refuse)
    with pytest.raises(SystemExit) as ended:
        label([str(tmp_path), "--out", f"{tmp_path}/labels.ecsv", "--who", "me", "--port", str(taken)])
    assert ended.value.code == ConfigError.exit_status
    why = os.strerror(code or errno.EADDRINUSE)
    told = f"ConfigError: port {taken} cannot be used: {why}; give another one with --port, or leave it out"
    assert told in capfd.readouterr().err
