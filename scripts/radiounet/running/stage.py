"""What scripts of rules and verbs of the command share: their standard options, their log, and their exit.

Bad data becomes a rejected product and exit 0, so that the survey goes on;
anything else becomes a non-zero exit, so that Snakemake tries again.
"""

import argparse
import errno
import logging
import math
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from radiounet.errors import BadDataError, ConfigError, RadioUNetError, TransientError
from radiounet.images.provenance import code_hash
from radiounet.images.rejections import RejectedInputError, Rejection, read_rejection, write_rejected
from radiounet.images.writing import check_before_renaming, remove_leftovers
from radiounet.network.architectures.registry import EXTRAS
from radiounet.running.log import configure, open_streams
from radiounet.running.outputs import claim_outputs
from radiounet.running.parsers import new_parser
from radiounet.running.run_notes import EditMark, require_own_run

logger = logging.getLogger("radiounet.running.stage")


def stage_parser(
    description: str | None, *, reads: Sequence[str] = (), writes: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Return a parser with the options that all scripts of rules have.

    Parameters
    ----------
    description : str
        Of the program, for its help.
    reads, writes : sequence of str
        Names of the options whose values are files that are read, and that are written.
    """
    parser = _parser(None, description, None, reads, writes)
    parser.set_defaults(stage=Path(sys.argv[0]).stem)
    parser.add_argument(
        "--on-reject",
        choices=("continue", "stop"),
        default="stop",
        help="bad data: write rejected products and exit 0, or stop with an error (default: %(default)s)",
    )
    return parser


def verb_parser(
    verb: str, description: str, examples: str, *, reads: Sequence[str] = (), writes: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Return a parser with the options that all verbs of the command ``radiounet`` have.

    Bad data always stops a verb: nothing could stand in for a file of the user's own.

    Parameters
    ----------
    verb : str
    description : str
        What it does, for its help.
    examples : str
        Command lines, for the end of its help.
    reads, writes : sequence of str
        See `stage_parser`.
    """
    program = f"radiounet {verb}"
    epilog = f"examples:\n{textwrap.indent(textwrap.dedent(examples).strip(), '  ')}"
    parser = _parser(program, description, epilog, reads, writes)
    # not the name of a rule: a run of the workflow has nothing to say about the code of a verb
    parser.set_defaults(stage=program, on_reject="stop", is_verb=True)
    return parser


def _parser(
    program: str | None,
    description: str | None,
    epilog: str | None,
    reads: Sequence[str],
    writes: Sequence[str],
) -> argparse.ArgumentParser:
    open_streams()
    parser = new_parser(program, description=description, epilog=epilog)
    parser.set_defaults(reads=tuple(reads), writes=tuple(writes))
    parser.add_argument("--log", help="log file (default: standard error)")
    return parser


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Make a type of option: a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        if value > most:
            raise argparse.ArgumentTypeError(f"{value} is more than {most}")
        return value

    parse.__name__ = "whole number"  # argparse says so where it is none
    return parse


def positive(text: str) -> float:
    """Read the value of an option: a finite number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return value


positive.__name__ = "number"  # argparse says so where it is none


def run_stage(
    args: argparse.Namespace,
    work: Callable[[], object],
    *,
    outputs: Sequence[str] = (),
    inputs: Sequence[str] = (),
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    name: str = "",
) -> None:
    """Run one stage and leave the process with the status its outcome deserves.

    Parameters
    ----------
    args : Namespace
        From a parser made by `stage_parser` or `verb_parser`.
    work : callable
        Does the work and writes all outputs.
    outputs : sequence of str
        Written as rejected products when the data is bad, but not by a verb.
    inputs : sequence of str
        Products that may themselves be rejected; the first that is decides.
    reads, writes : sequence of str
        Further files that are read and written, whose names do not stand in an option of their own.
    name : str
        Field or mosaic, for the row in ``rejected``.
    """
    named = _values(args, args.writes)
    derived = [one for one in dict.fromkeys([*outputs, *writes]) if one not in named]
    try:
        _require_words(args)
        claim_outputs([*named, *derived], [*_values(args, args.reads), *inputs, *reads], args.log)
        configure(args.log)
        if "is_verb" in args:  # a run looks for its own when it begins and ends
            for folder in {Path(one).parent for one in [*named, *derived]}:
                remove_leftovers(folder, below=False)
    except (ConfigError, OSError) as error:
        configure(None)
        sys.exit(_status_of(error))
    logger.info("%s, code %s", f"{args.stage} {name}".strip(), code_hash())
    mark = EditMark(args.stage, name)
    check_before_renaming(require_own_run)
    try:
        require_own_run()
        _work_or_reject(args, work, outputs, inputs, name)
        mark.settle([*named, *derived])
    except (RadioUNetError, ValidationError, ModuleNotFoundError, OSError) as error:
        sys.exit(_status_of(error))


def _status_of(error: Exception) -> int:
    """Exit status for what stopped a stage, whose words are logged."""
    if isinstance(error, ValidationError):  # a section given as JSON
        faults = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        logger.error("%s cannot be used: %s", error.title, "; ".join(faults))
        return ConfigError.exit_status
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise error
        if os.environ.get("KERAS_BACKEND") == missing:
            words = "KERAS_BACKEND has Keras compute with %s, which is not installed: unset it, or install %s"
            logger.error(words, missing, missing)
            return ConfigError.exit_status
        extras = [f"radiounet[{one}]" for one in EXTRAS[missing]]
        logger.error(
            "the networks need %s, which is not installed: install %s, for instance with: pip install '%s'",
            missing,
            " or ".join(extras),
            extras[0],
        )
        return ConfigError.exit_status
    logger.error("%s: %s", type(error).__name__, error)
    if isinstance(error, RadioUNetError):
        return error.exit_status
    # a full disk, rights, a file server: of writing, since readers name theirs
    too_long = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
    return ConfigError.exit_status if too_long else TransientError.exit_status


def _work_or_reject(
    args: argparse.Namespace,
    work: Callable[[], object],
    outputs: Sequence[str],
    inputs: Sequence[str],
    name: str,
) -> None:
    try:
        for path in inputs:
            if not os.path.exists(path):
                raise ConfigError(f"there is no file {path}")
            if rejection := read_rejection(path):
                raise RejectedInputError(rejection)
        work()
    except RejectedInputError as passed_on:
        _reject(args, passed_on.rejection, outputs, passed_on)
    except BadDataError as error:
        # a verb's name may be that of what it writes
        culprit = getattr(error, "file", None) or next(iter(inputs), "" if "is_verb" in args else name)
        is_given = "is_verb" in args and culprit in _values(args, args.reads) and "://" not in culprit
        if is_given and not os.path.exists(culprit):
            raise ConfigError(f"{culprit} is not there") from error  # bad is its name, not its data
        kind = type(error).__name__
        if "is_verb" in args:
            file = f"{culprit}: " if culprit and not str(error).startswith(culprit) else ""
            logger.error("%s%s: %s", file, kind, error)
            sys.exit(error.exit_status)
        _require_file(getattr(error, "file", ""))
        _reject(args, Rejection(name, args.stage, str(culprit), f"{kind}: {error}"), outputs, error)


def _require_file(path: str) -> None:
    """Refuse to reject a field or mosaic since a folder, say, lies in the place of its product."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigError(f"{path} is no file: move it away, and run the workflow again")


def _require_words(args: argparse.Namespace) -> None:
    """Refuse options that are empty: files below a folder of no name would lie in ``/``."""
    for name, value in vars(args).items():
        if "" in (value if isinstance(value, list) else [value]):
            raise ConfigError(f"{name.replace('_', '-')} is empty")


def _values(args: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Files that options name, one or several each."""
    values = [getattr(args, name) for name in names]
    return [one for value in values if value for one in (value if isinstance(value, list) else [value])]


def _reject(
    args: argparse.Namespace, rejection: Rejection, outputs: Sequence[str], error: BadDataError
) -> None:
    # a stage of no field or mosaic has no name, and one that was given no file names none
    name = f" {rejection.name}" if rejection.name else ""
    file = f" ({rejection.file})" if rejection.file else ""
    logger.warning("rejected%s in %s: %s%s", name, rejection.stage, rejection.reason, file)
    if args.on_reject == "stop":
        sys.exit(error.exit_status)
    for path in outputs:
        write_rejected(path, rejection)
