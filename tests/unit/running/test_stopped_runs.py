"""What a run notes of jobs that it could not see to their end, or that failed as a group."""

import errno
import fcntl
import io
import json
import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.jobs import GroupJob
from snakemake.logging import logger as snakemake_logger

from radiounet.images.products import LOCK_FILE, Products
from radiounet.running.freshness import Freshness
from radiounet.running.progress import Progress
from radiounet.running.snakemake_adapter import PlannedJob, tell_why_groups_fail
from radiounet.settings.config import load_config


@pytest.fixture
def products(tmp_path):
    return Products(str(tmp_path / "dr2"))


@pytest.fixture
def progress(products):
    jobs = [
        PlannedJob(n, "segment", name, True, "segment0000", outputs=(products.mask(name),))
        for n, name in enumerate("abc", start=1)
    ]
    return Progress(products, jobs, stream=io.StringIO())


def tell(progress, event, **content):
    progress.emit(logging.makeLogRecord({"event": event} | content))


class Member:
    """A job of a group, as far as Snakemake looks at it to tell that the group failed."""

    def __init__(self, number, log):
        self.rule, self.number, self.log = SimpleNamespace(name="segment"), number, log

    def get_log_error_info(self, **kwargs):
        return {"jobid": self.number}

    def log_error(self, **kwargs):
        told = {"event": "job_error", "jobid": self.number, "log": [self.log], "rule_msg": None}
        snakemake_logger.error("Error in rule", extra=told)


def test_a_group_that_slurm_kills_is_told_in_the_words_of_slurm(progress, tmp_path):
    """Its jobs have logs that end in the middle of the work; one has an error of its own."""
    slurm = tmp_path / "slurm.log"
    slurm.write_text("...\nslurmstepd: error: Job 7 exceeded memory limit (4 > 3), being killed\n")
    logs = [tmp_path / f"{name}.log" for name in "ab"]
    logs[0].write_text("... INFO begun\n")
    logs[1].write_text("... INFO begun\nOSError: [Errno 28] No space left on device\n")
    tell(progress, "job_started", jobs=[1, 2])
    members = [Member(n, str(log)) for n, log in enumerate(logs, start=1)]
    snakemake_logger.addHandler(progress)
    try:
        GroupJob.log_error(SimpleNamespace(groupid="segment0000", jobs=members), aux_logs=[str(slurm)])
    finally:
        snakemake_logger.removeHandler(progress)
    first, second = progress.status("running").failed
    assert (first["name"], first["log"]) == ("a", str(logs[0]))
    assert "exceeded memory limit" in first["last_words"]
    assert second["last_words"] == "OSError: [Errno 28] No space left on device"
    tell(progress, "job_started", jobs=[1])
    assert [one["name"] for one in progress.status("running").failed] == ["b"]


REFUSED = """SLURM sbatch failed. The error message was 'sbatch: error: invalid partition: nope
sbatch: error: Batch job submission failed'.
    sbatch call:
        sbatch --wrap="..."
For further error details see the cluster/cloud log and the log files of the involved rule(s)."""
KILLED = "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown.For further error details see"


@pytest.fixture
def terminal(monkeypatch):
    """Records of Snakemake's logger, whose groups tell why they failed."""
    seen = []
    handler = logging.Handler()
    handler.emit = seen.append
    monkeypatch.setattr(GroupJob, "log_error", GroupJob.log_error)  # put back at the end
    tell_why_groups_fail()
    snakemake_logger.addHandler(handler)
    yield seen
    snakemake_logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("message", "words", "log_tells"),
    [
        (
            REFUSED,
            "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition: nope "
            "sbatch: error: Batch job submission failed'.",
            False,  # it is that of an earlier try
        ),
        (KILLED, "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown.", True),
    ],
)
def test_what_the_executor_says_of_a_group_reaches_terminal_and_status(
    progress, terminal, tmp_path, message, words, log_tells
):
    log = tmp_path / "b.log"
    log.write_text("x ERROR radiounet.running.stage: MemoryError\n")
    tell(progress, "job_started", jobs=[1, 2])
    members = [Member(1, str(tmp_path / "a.log")), Member(2, str(log))]
    snakemake_logger.addHandler(progress)
    try:
        GroupJob.log_error(SimpleNamespace(groupid="segment0000", jobs=members), message)
    finally:
        snakemake_logger.removeHandler(progress)
    first, second = progress.status("running").failed
    assert first["last_words"] == words
    assert second["last_words"] == (log.read_text().strip() if log_tells else words)
    assert [one.getMessage() for one in terminal].count(f"segment0000: {words}") == 1


def test_a_job_by_itself_that_is_refused_is_told_without_the_command(progress):
    tell(progress, "job_started", jobs=[1])
    tell(progress, "job_error", jobid=1, log=[], rule_msg=REFUSED)
    (failed,) = progress.status("running").failed
    assert failed["last_words"].endswith("sbatch: error: Batch job submission failed'.")


def test_without_a_message_nothing_is_added(progress, terminal):
    GroupJob.log_error(SimpleNamespace(groupid="segment0000", jobs=[Member(1, "a.log")]))
    assert [one.getMessage() for one in terminal] == ["Error in group segment0000", "Error in rule"]


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """Snakemake with these dates of when products were made, and what it is told to make again."""
    monkeypatch.chdir(tmp_path)
    run = SimpleNamespace(is_main=True, dates={}, again=[], records=Path(".snakemake"))
    run.ended, run.make_again = run.dates.get, run.again.extend
    return run


def begin(snakemake, products):
    """A run that looks at what earlier ones noted."""
    snakemake.again.clear()
    run = Freshness(snakemake, load_config({}), products)
    run.check_notes()
    return run


def noted():
    """What is noted beside the records in this folder, by the folder of results."""
    notes = [json.loads(path.read_text()) for path in Path(".snakemake").glob("radiounet/*")]
    return {note["results"]: note["products"] for note in notes}


def make(*paths):
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_run_that_is_killed_has_noted_what_its_jobs_may_leave(snakemake, products, caplog):
    masks = [products.mask(name) for name in "abc"]
    begin(snakemake, products).stopped.note_begun(masks[:2])
    assert noted() == {products.root: masks[:2]}
    make(masks[0], masks[2])
    snakemake.dates[masks[2]] = Path(masks[2]).stat().st_mtime
    second = begin(snakemake, products)
    second.check_mosaic("a")
    assert snakemake.again == masks[:1]
    words = "1 product whose run was stopped before it saw the job end, made again where this run needs it"
    assert f"{words}: {masks[0]}\n" in caplog.text
    assert "no record" not in caplog.text  # which would send to another folder
    # that run is killed as well: what the first may still leave stays noted
    second.stopped.note_begun(masks[2:])
    assert noted() == {products.root: masks}
    # and the third ends well, but for one that nobody has made
    snakemake.dates[masks[0]] = 1.0
    begin(snakemake, products).stopped.note_ended([])
    assert noted() == {products.root: [masks[1]]}


def test_runs_of_another_folder_have_notes_of_their_own(snakemake, products, tmp_path, monkeypatch, caplog):
    """Which has no record of what the killed run saw end, and would make all of it again."""
    masks = [products.mask(name) for name in "abc"]
    make(*masks)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    begin(snakemake, products).stopped.note_begun(masks[:2])
    monkeypatch.chdir(tmp_path / "second")
    second = begin(snakemake, products)
    assert snakemake.again == []
    second.check_mosaic("a")
    assert "has no record of how it was made" in caplog.text
    assert str(tmp_path / "second/.snakemake") in caplog.text
    second.stopped.note_begun(masks[2:])
    monkeypatch.chdir(tmp_path / "first")
    assert noted() == {products.root: masks[:2]}
    begin(snakemake, products)
    assert snakemake.again == masks[:2]


def move_clone():
    here = Path.cwd()
    here.rename(here.with_name("moved"))
    os.chdir(here.with_name("moved"))


def move_results():
    """To another disk, with a link in their place."""
    os.renames("results", "../disk/results")
    Path("results").symlink_to(Path("../disk/results").resolve())


@pytest.mark.parametrize("root", ["results/dr2", "{folder}/elsewhere/dr2"])
@pytest.mark.parametrize("move", [move_clone, move_results])
def test_what_is_moved_keeps_its_notes(snakemake, tmp_path, monkeypatch, root, move):
    """As Snakemake's records do."""
    products = Products(root.format(folder=tmp_path))
    mask = products.mask("a")
    (tmp_path / "clone/results").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "clone")
    begin(snakemake, products).stopped.note_begun([mask])
    make(mask)
    move()
    begin(snakemake, products)
    assert snakemake.again == [mask]


def test_a_run_of_another_release_sees_what_both_share(snakemake):
    shared, mask = "resources/clusters/psz2.ecsv", "results/dr2/masks/a.fits"
    make(shared, mask)
    begin(snakemake, Products("results/dr2")).stopped.note_begun([shared, mask])
    other = begin(snakemake, Products("results/dr3"))
    assert snakemake.again == [shared]  # a mask of the other release is no business of this run
    other.stopped.note_begun(["results/dr3/masks/b.fits"])
    snakemake.dates[shared] = 1.0
    other.stopped.note_ended([])
    begin(snakemake, Products("results/dr2"))
    assert snakemake.again == [mask]


def test_many_products_are_told_in_one_line(snakemake, products, caplog):
    """Of which this run may need none."""
    masks = [products.mask(f"m{number}") for number in range(50)]
    make(*masks)
    marks = [Path(products.edit_marks(), f"segment.m{number}.json") for number in range(50)]
    make(*marks)
    for mark, mask in zip(marks, masks, strict=True):
        mark.write_text(json.dumps({"products": [mask]}))
    begin(snakemake, products).stopped.note_begun(masks)
    caplog.clear()
    begin(snakemake, products)
    assert len(caplog.messages) == 2
    for line in caplog.messages:
        assert line.startswith("50 products ")
        assert ", made again where this run needs them: " in line
        assert line.endswith(" and 47 more")


@pytest.mark.parametrize(
    "text", ['{"products": ["a"]}', '{"products": {"a": 1}}', '{"products": [1]}', "[]", '{"products']
)
def test_a_note_of_another_form_is_none(snakemake, products, text):
    note = Path(".snakemake/radiounet/0.json")
    make(note, "a")
    note.write_text(text)
    begin(snakemake, products)
    assert snakemake.again == []


def test_a_folder_of_products_is_made_again_as_well(snakemake, products, tmp_path):
    """Such as the model that an evaluation leaves."""
    folder = tmp_path / "training/own/model"
    begin(snakemake, products).stopped.note_begun([str(folder)])
    folder.mkdir(parents=True)
    begin(snakemake, products)
    assert snakemake.again == [str(folder)]


def test_a_run_with_nothing_to_do_leaves_no_note(snakemake, products):
    kept = begin(snakemake, products).stopped
    kept.note_begun([])
    kept.note_ended([])
    assert noted() == {}


def test_products_of_a_run_that_goes_on_are_not_called_stopped(snakemake, products, caplog):
    """A dry run beside it may see a product before Snakemake has seen its job end."""
    mask = products.mask("a")
    begin(snakemake, products).stopped.note_begun([mask])
    make(mask)
    with open(Path(products.root, LOCK_FILE), "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for other in (products, Products(f"{products.root}-other")):
            begin(snakemake, other).check_mosaic("a")
            assert snakemake.again == []
    assert "stopped" not in caplog.text
    assert "no record" not in caplog.text


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_no_lock_can_be_had_the_note_counts(snakemake, products, monkeypatch, code):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    mask = products.mask("a")
    begin(snakemake, products).stopped.note_begun([mask])
    make(mask, Path(products.root, LOCK_FILE))
    monkeypatch.setattr(fcntl, "flock", refuse)
    begin(snakemake, products)
    assert snakemake.again == [mask]


def test_the_note_of_a_large_survey_takes_no_time(snakemake, products):
    names = [f"m{n}" for n in range(6000)]
    paths = [path for name in names for path in (products.probability(name), products.mask(name))]
    kept = begin(snakemake, products).stopped
    took = []
    for _ in range(3):
        began = time.perf_counter()
        kept.note_begun(paths)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.2


def test_a_full_disk_does_not_stop_the_end_of_a_run(snakemake, products, monkeypatch, caplog):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    kept = begin(snakemake, products).stopped
    kept.note_ended([products.mask("b")])
    assert noted() == {products.root: [products.mask("b")]}
    monkeypatch.setattr("radiounet.running.run_notes.write_json", full)
    kept.note_ended([products.mask("c")])
    assert f"No space left on device): name these in --forcerun of the next run: {products.mask('c')}" in (
        caplog.text
    )


def test_jobs_that_were_running_at_the_end_are_noted(progress, products):
    progress._ticker.start()
    tell(progress, "job_started", jobs=[1, 2])
    tell(progress, "job_finished", job_id=1)
    progress.end("failed")
    assert progress.stopped == [products.mask("b")]
