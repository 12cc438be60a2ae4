"""Progress bars change nothing, and are for people at a terminal."""

import io
import logging
import re
from contextlib import redirect_stderr

import pytest

from radiounet.images.progress_bar import show_bars, with_bar
from radiounet.running.log import ConsoleHandler


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def hidden(monkeypatch):
    """As in a new process: another test may have called the command."""
    monkeypatch.setattr("radiounet.images.progress_bar._shown", False)


@pytest.fixture
def shown(hidden):
    show_bars()


def count():
    return list(with_bar(["aa", "b", "ccc"], "letters", 8, done=2, size=len))


def test_a_job_has_no_bar_even_at_a_terminal():
    with redirect_stderr(Terminal()) as terminal:
        assert count() == ["aa", "b", "ccc"]
    assert terminal.getvalue() == ""


@pytest.mark.usefixtures("shown")
def test_a_log_has_no_bar(capsys):
    assert count() == ["aa", "b", "ccc"]
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("shown")
def test_a_person_sees_how_much_is_done_and_the_log_above_it():
    logger = logging.Logger("test")
    with redirect_stderr(Terminal()) as terminal:
        logger.addHandler(ConsoleHandler())
        passed = with_bar(["aa", "b", "ccc"], "letters", 8, done=2, size=len)
        assert next(passed) == "aa"
        assert "letters:  25%" in terminal.getvalue()
        assert "2/8" in terminal.getvalue()
        logger.warning("half way")
        # on a line of its own, not behind the bar
        assert "half way" in re.split(r"[\r\n]", terminal.getvalue())
        assert list(passed) == ["b", "ccc"]
    assert terminal.getvalue().rstrip("\r").rpartition("\r")[2].strip() == ""  # it is gone at the end
