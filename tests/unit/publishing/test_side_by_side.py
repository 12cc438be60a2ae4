"""Work in several processes: results in order, and errors as they were raised."""

import os
import sys
from functools import partial

import pytest

from radiounet.errors import ConfigError
from radiounet.publishing.side_by_side import side_by_side


def marked(mark, thing):
    if thing == "bad":
        raise ConfigError(f"{mark}: {thing}")
    return f"{mark} {thing} {os.getpid()}"


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_things(processes):
    made = side_by_side(partial(marked, "mine"), ["a", "b", "c"], processes, "letters")
    assert [one.rpartition(" ")[0] for one in made] == ["mine a", "mine b", "mine c"]
    workers = {int(one.rpartition(" ")[2]) for one in made}
    assert (os.getpid() in workers) == (processes == 1)


def test_an_error_keeps_its_kind_and_words():
    with pytest.raises(ConfigError, match="mine: bad"):
        side_by_side(partial(marked, "mine"), ["a", "bad"], 2, "letters")


def knows(module, _):
    return module in sys.modules


def test_processes_have_imported_the_publication_before_their_first_job():
    assert side_by_side(partial(knows, "radiounet.publishing.publication"), [1, 2], 2, "numbers") == [
        True,
        True,
    ]
    assert side_by_side(partial(knows, "radiounet.mosaicking.coadd"), [1, 2], 2, "numbers") == [False, False]
