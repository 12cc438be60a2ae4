import inspect
import io
import json
import logging
import os
import pickle
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.jobs import GroupJob

from programs import ROOT, snakemake, start
from radiounet.errors import BadDataError
from radiounet.images.products import Products, comparison_files
from radiounet.images.rejections import Rejection, read_rejection, write_rejected
from radiounet.images.writing import write_json
from radiounet.running.progress import Progress, last_words
from radiounet.running.snakemake_adapter import PlannedJob
from radiounet.running.status import settle_status
from stages import reject_mosaic, write_image

SITE = ROOT / "scripts" / "radiounet" / "publishing" / "pages"
JOBS = {
    1: ("fetch_mosaic", "one"),
    2: ("segment", "one"),
    3: ("fetch_mosaic", "two"),
    4: ("segment", "two"),
    5: ("merge_catalogue", None),
}


SNAKEFILE = """
import logging, pickle
from snakemake.logging import logger

class Keep(logging.Handler):
    seen = {}
    def emit(self, record):
        if str(getattr(record, "event", "")) in ("job_started", "job_finished", "job_error"):
            self.seen[str(record.event)] = vars(record)
            open("events", "wb").write(pickle.dumps(self.seen))

onstart:
    logger.addHandler(Keep())

rule good:
    output: "good"
    shell: "touch good"

rule bad:
    output: "bad"
    log: "bad.log"
    shell: "false"
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def follow(products, jobs, mosaics=(), stream=None):
    """Progress of a run with these jobs, and of each further mosaic one that has been run."""
    made = [PlannedJob(100 + n, "segment", name, False, None) for n, name in enumerate(mosaics)]
    to_run = [PlannedJob(n, rule, name, True, *(group or [None])) for n, (rule, name, *group) in jobs.items()]
    kinds = {"fetch_mosaic": ("mosaic_source", "image"), "segment": ("probability", "mask")}
    planned = [
        replace(job, outputs=tuple(getattr(products, kind)(job.mosaic) for kind in kinds.get(job.rule, ())))
        for job in (*to_run, *made)
    ]
    return Progress(products, planned, stream=stream or io.StringIO())


@pytest.fixture
def products(tmp_path):
    return Products(str(tmp_path / "dr3"))


@pytest.fixture
def progress(products):
    return follow(products, JOBS, ["three"])


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """Snakemake's own records of a run in which one job ends well and one does not, by event."""
    folder = tmp_path_factory.mktemp("snakemake")
    (folder / "Snakefile").write_text(SNAKEFILE)
    snakemake("--cores", "1", "--keep-going", "--", "good", "bad", cwd=folder, status=1)
    return pickle.loads((folder / "events").read_bytes())


@pytest.fixture
def tell(events):
    """Give a record as Snakemake makes it, of another job."""

    def emit(progress, event, **content):
        assert set(content) <= set(events[event])
        progress.emit(logging.makeLogRecord(events[event] | content))

    return emit


@pytest.mark.parametrize(("word", "failed"), [("INFO", []), ("ERROR", ["one"])])
def test_after_a_stop_a_job_fails_only_with_an_error_of_its_own(products, tell, tmp_path, word, failed):
    log = tmp_path / "a.log"
    log.write_text(f"2026-12-01 10:00:00,000 {word} radiounet.running.stage: what happened\n")
    progress = follow(products, {1: ("segment", "one")})
    tell(progress, "job_started", jobs=[1])
    progress.told_to_stop = True
    tell(progress, "job_error", jobid=1, log=[str(log)])
    assert [one["name"] for one in progress.status("running").failed] == failed
    assert progress.has_failed is bool(failed)


def test_nothing_has_begun(progress):
    status = progress.status("running")
    assert status.mosaics == {"waiting": 2, "running": 0, "done": 1, "failed": 0, "rejected": 0}
    assert status.jobs == {"waiting": 5, "running": 0, "done": 0, "failed": 0}
    assert (status.mosaics_per_hour, status.hours_left) == (None, None)


def test_a_mosaic_is_done_with_its_last_job(tell, progress):
    tell(progress, "job_started", jobs=[1, 3])
    tell(progress, "job_finished", job_id=1)
    assert progress.status("running").mosaics["running"] == 2
    tell(progress, "job_finished", job_id=3)
    assert progress.status("running").mosaics["running"] == 2
    ended = progress.status("failed").mosaics
    assert (ended["running"], ended["waiting"]) == (0, 2)
    tell(progress, "job_started", jobs=[2])
    tell(progress, "job_finished", job_id=2)
    status = progress.status("running")
    assert (status.mosaics["done"], status.mosaics["running"]) == (2, 1)
    assert status.stages["segment"] == {"waiting": 1, "running": 0, "done": 1, "failed": 0}
    assert status.line().startswith("dr3: 2 of 3 mosaics done, 1 running, 0 failed, 0 rejected")
    assert not progress.finished("merge_catalogue")


def test_a_failed_job_is_told_with_its_last_words_until_it_is_tried_again(tell, progress, tmp_path):
    log = tmp_path / "segment.log"
    log.write_text("... INFO begun\nOSError: [Errno 28] No space left on device\n\n")
    tell(progress, "job_started", jobs=[4])
    tell(progress, "job_error", jobid=4, log=[str(log)], rule_msg=None)
    status = progress.status("running")
    assert status.mosaics["failed"] == 1
    assert status.failed == [
        {
            "rule": "segment",
            "name": "two",
            "attempts": 1,
            "log": str(log),
            "last_words": "OSError: [Errno 28] No space left on device",
        }
    ]
    tell(progress, "job_started", jobs=[4])
    assert progress.status("running").failed == []
    assert progress.status("running").mosaics["running"] == 1


def test_a_rejected_mosaic_is_neither_done_nor_failed(tell, progress, products):
    reject_mosaic(products, "two", BUNIT="K")
    for number in (3, 4):
        tell(progress, "job_started", jobs=[number])
        tell(progress, "job_finished", job_id=number)
    status = progress.status("running")
    assert (status.mosaics["rejected"], status.mosaics["done"]) == (1, 1)
    assert status.rejected == [vars(read_rejection(products.mask("two")))]
    assert status.rejected[0]["reason"].startswith("UnitError: ")


def test_a_mosaic_whose_image_is_rejected_is_not_running_till_the_end(tell, progress, products):
    """What is left for its jobs is to pass the rejection on; its rate counts when they have."""
    for path in OUTPUTS["fetch_mosaic"](products):
        write_rejected(
            path.replace("/a", "/two"), Rejection("two", "fetch_mosaic", "two.fits", "UnitError: K")
        )
    tell(progress, "job_started", jobs=[3])
    tell(progress, "job_finished", job_id=3)
    status = progress.status("running")
    assert status.mosaics == {"waiting": 1, "running": 0, "done": 1, "failed": 0, "rejected": 1}
    assert status.mosaics_per_hour is None
    assert "0 running, 0 failed, 1 rejected; 1 of 5 jobs, 1 rejection" in status.line()
    tell(progress, "job_started", jobs=[4])
    assert progress.status("running").mosaics["rejected"] == 1
    tell(progress, "job_error", jobid=4, log=[], rule_msg=None)
    assert progress.status("running").mosaics["failed"] == 1


def test_rejections_of_earlier_runs_are_counted(products):
    reject_mosaic(products, "three", BUNIT="K")
    status = follow(products, JOBS, ["three"]).status("running")
    assert (status.mosaics["rejected"], status.mosaics["done"]) == (1, 0)


OUTPUTS = {
    "fetch_field": lambda made: (
        *(made.field_image("a", kind) for kind in ("int", "app")),
        made.field_source("a"),
    ),
    "fetch_mosaic": lambda made: (made.image("a"), made.mosaic_source("a")),
    "fetch_components": lambda made: (made.components("a"),),
    "fetch_high_resolution": lambda made: (made.high_resolution("a"),),
    "mosaic": lambda made: (made.image("a"), made.weights("a"), made.rms("a"), made.left_out("a")),
    "segment": lambda made: (made.probability("a"), made.mask("a")),
    "find_islands": lambda made: (made.islands("a"),),
    "measure_clusters": lambda made: (made.clusters("a"), made.cutouts("a")),
    "measure_limits": lambda made: (made.limits("a"),),
    "compare_mosaic": lambda made: tuple(comparison_files(made.comparison("a")).values()),
}


NO_MASK = ("fetch_mosaic", "mosaic", "segment")
"""Rules without whose products a mosaic has no mask."""


def one_job(products, rule, needed):
    """Progress of a run with a job, and another job that is to run."""
    places = {"field": "a"} if rule == "fetch_field" else {}
    mosaic = None if places else "a"
    job = PlannedJob(1, rule, mosaic, needed, None, outputs=OUTPUTS[rule](products), **places)
    return Progress(products, [job, PlannedJob(2, "segment", "b", True, None)], stream=io.StringIO())


@pytest.mark.parametrize("rule", OUTPUTS)
@pytest.mark.parametrize("when", ["in this run", "before it"])
def test_every_rejection_is_listed(tell, products, rule, when):
    if when == "in this run":
        progress = one_job(products, rule, needed=True)
        tell(progress, "job_started", jobs=[1])
        assert progress.status("running").rejected == []
    rejection = Rejection("a", rule, "a.fits", "TruncatedError: it ends early")
    for path in OUTPUTS[rule](products):
        write_rejected(path, rejection)
    if when == "in this run":
        tell(progress, "job_finished", job_id=1)
    else:
        progress = one_job(products, rule, needed=False)
    status = progress.status("running")
    assert status.rejected == [vars(rejection)]
    assert status.line().endswith(" jobs, 1 rejection") or ", 1 rejection, " in status.line()
    assert status.mosaics["rejected"] == (rule in NO_MASK)  # others may still have a mask


def test_a_rejection_that_stages_pass_on_is_listed_once_and_one_left_out_field_too(products):
    passed_on = Rejection("a", "fetch_mosaic", "a.fits", "UnitError: K")
    left_out = Rejection("P1", "mosaic", "P1.fits", "NoOverlapError: too far")
    for path in (*OUTPUTS["fetch_mosaic"](products), *OUTPUTS["segment"](products), products.islands("a")):
        write_rejected(path, passed_on)
    write_json(products.left_out("b"), {"left_out": [vars(left_out)]})
    made = enumerate(["fetch_mosaic", "segment", "find_islands"])
    jobs = [PlannedJob(n, rule, "a", False, None, outputs=OUTPUTS[rule](products)) for n, rule in made]
    jobs.append(
        PlannedJob(5, "mosaic", "b", False, None, outputs=(products.image("b"), products.left_out("b")))
    )
    status = Progress(products, jobs, stream=io.StringIO()).status("running")
    assert status.rejected == [vars(passed_on), vars(left_out)]
    assert (status.mosaics["rejected"], status.mosaics["done"]) == (1, 1)


def test_a_damaged_product_and_one_that_is_gone_stop_no_run(products):
    Path(products.field_source("a")).parent.mkdir(parents=True)
    Path(products.field_source("a")).write_text('{"rejected": {"name"')
    assert one_job(products, "fetch_field", needed=False).status("running").rejected == []
    assert one_job(products, "find_islands", needed=False).status("running").rejected == []


def test_time_left_is_work_left_at_the_speed_so_far(tell, progress, monkeypatch):
    now = progress._began
    monkeypatch.setattr("radiounet.running.progress.time.time", lambda: now)
    tell(progress, "job_started", jobs=[1, 3])
    now += 3600
    tell(progress, "job_finished", job_id=1)
    tell(progress, "job_finished", job_id=3)
    tell(progress, "job_started", jobs=[2])
    now += 7200
    tell(progress, "job_finished", job_id=2)
    status = progress.status("running")
    # 3 h for work of 1 + 1 + 2; left are a mosaic of 2 and one of no known rule, taken for the mean of 1.5
    assert status.hours_left == pytest.approx(3 * 3.5 / 4)
    assert status.mosaics_per_hour == pytest.approx(1 / 3)


def test_jobs_of_a_group_share_its_time(tell, products, monkeypatch):
    """Of a group of two, which takes 2 h, each mosaic took 1 h; two more groups of two would take 4 h."""
    jobs = {number: ("segment", f"m{number}", f"segment{number // 2}") for number in range(6)}
    progress = follow(products, jobs | {6: ("merge_catalogue", None)})
    now = progress._began
    monkeypatch.setattr("radiounet.running.progress.time.time", lambda: now)
    tell(progress, "job_started", jobs=[0, 1, 6])
    now += 3600
    tell(progress, "job_finished", job_id=6)
    now += 3600
    tell(progress, "job_finished", job_id=0)
    tell(progress, "job_finished", job_id=1)
    # 2 h for work of 1 + 1 + 1, left are 4
    assert progress.status("running").hours_left == pytest.approx(2 * 4 / 3)


def test_jobs_of_a_group_begin_with_it(tell, progress, tmp_path):
    """Snakemake tells its start by a name, and its jobs with it; their ends one by one."""
    told = {"event": "group_info", "group_id": "segment", "jobs": [SimpleNamespace(jobid=n) for n in (1, 3)]}
    source = inspect.getsource(GroupJob.log_info)
    assert all(name in source for name in ("GROUP_INFO", "jobs=self.jobs"))
    tell(progress, "job_started", jobs=["4a0c3f0e"])
    assert progress.status("running").jobs["running"] == 0
    progress.emit(logging.makeLogRecord(told))
    assert progress.status("running").jobs["running"] == 2
    tell(progress, "job_error", jobid=1, log=[], rule_msg="lost")
    assert [one["attempts"] for one in progress.status("running").failed] == [1]
    progress.emit(logging.makeLogRecord(told))
    tell(progress, "job_finished", job_id=1)
    status = progress.status("running")
    assert status.failed == []
    assert status.jobs["done"] == 1


def test_line_file_and_page(events, products):
    stream = io.StringIO()
    logger = logging.Logger("snakemake")
    progress = follow(products, JOBS, stream=stream).start(logger)
    logger.handle(logging.makeLogRecord(events["job_started"] | {"jobs": [1]}))
    progress.end("failed")
    assert stream.getvalue().endswith("0 of 2 mosaics done, 1 running, 0 failed, 0 rejected; 0 of 5 jobs\n")
    status = json.loads(Path(products.status_file()).read_text())
    assert (status["state"], status["jobs"]["running"]) == ("failed", 1)
    page = Path(products.status_page()).read_text()
    assert "DR3: failed" in page
    assert "http-equiv" not in page  # an ended run reloads nothing


def test_a_killed_run_works_on_nothing(events, products):
    logger = logging.Logger("snakemake")
    progress = follow(products, JOBS).start(logger)
    logger.handle(logging.makeLogRecord(events["job_started"] | {"jobs": [1]}))
    progress.write("running")
    settle_status(products, is_held=True)
    assert json.loads(Path(products.status_file()).read_text())["state"] == "running"
    settle_status(products, is_held=False)
    status = json.loads(Path(products.status_file()).read_text())
    assert (status["state"], status["valid_until"]) == ("killed", None)
    for counts in (status["jobs"], status["mosaics"], *status["stages"].values()):
        assert counts["running"] == 0
    assert sum(status["jobs"].values()) == len(JOBS)
    assert "0 running" in Path(products.status_page()).read_text()
    progress.end("failed")


def test_the_page_leads_to_the_results_site_where_there_is_one(products):
    progress = follow(products, JOBS).start(logging.Logger("snakemake"))
    progress.end("finished")
    assert "<nav" not in Path(products.status_page()).read_text()
    site = Path(products.publication(), "index.html")
    site.parent.mkdir()
    site.write_text("")
    progress.end("finished")
    page = Path(products.status_page()).read_text()
    assert "var(--link)" in page  # in the style of the site
    of_site = re.findall(
        r'\["(\w*)", "([\w ]+)"\]', re.search("PAGES = (.*);", (SITE / "main.js").read_text())[1]
    )
    assert len(of_site) > 4
    for name, text in of_site:
        assert f'<a href="publication/index.html#/{name}">{text}</a>' in page


def test_on_a_terminal_the_line_stays_in_its_place(products):
    stream = Terminal()
    progress = follow(products, JOBS, stream=stream)
    progress._last_line = -10
    progress.write("running")
    progress.write("running")  # too soon
    assert stream.getvalue().count("\r") == 1
    assert "\n" not in stream.getvalue()


def test_words_on_single_jobs_stay_off_the_terminal_and_in_the_log_file(products, tmp_path):
    logger = logging.Logger("snakemake")
    terminal, log = io.StringIO(), tmp_path / "snakemake.log"
    file = logging.FileHandler(log)
    logger.addHandler(logging.StreamHandler(terminal))
    logger.addHandler(file)
    progress = follow(products, JOBS).start(logger)
    logger.info("rule tile: ...")
    logger.error("Error in rule tile")
    progress.end("finished")
    logger.info("Complete log")
    file.close()
    assert terminal.getvalue() == "Error in rule tile\nComplete log\n"
    assert log.read_text() == "rule tile: ...\nError in rule tile\nComplete log\n"


def test_last_words_are_those_of_slurm_where_it_killed_the_job(tmp_path):
    log, slurm = tmp_path / "segment.log", tmp_path / "5.log"
    log.write_text("2026-11-25 06:19:48,511 INFO radiounet.running.stage: segment P126+65\n")
    killed = "slurmstepd-one: error: Exceeded job memory limit"
    slurm.write_text(f"{killed}\nsrun: error: one: task 0: Killed\nWorkflowError:\nAt least one job ...\n")
    assert last_words([str(log), str(slurm)]) == killed
    slurm.unlink()
    assert last_words([str(log), str(slurm)]) == ""
    log.write_text("x INFO a\nx ERROR radiounet.running.stage: TransientError: server away\nx INFO b\n")
    assert last_words([str(log)]).endswith("TransientError: server away")


def test_without_last_words_the_executor_has_the_word(tell, progress):
    tell(progress, "job_started", jobs=[4])
    tell(progress, "job_error", jobid=4, log=[], rule_msg="SLURM status is: 'NODE_FAIL'")
    assert progress.status("running").failed[0]["last_words"] == "SLURM status is: 'NODE_FAIL'"


def test_a_status_that_can_not_be_written_stops_nothing(products, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radiounet.running.progress.write_status", full)
    stream = io.StringIO()
    progress = follow(products, JOBS, stream=stream).start(logging.Logger("snakemake"))
    progress.end("finished")
    assert "status not written: [Errno 28] No space left on device" in stream.getvalue()


@pytest.fixture
def lost():
    """A terminal that is gone: a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    with suppress(BrokenPipeError), open(write, "w", buffering=1) as stream:
        yield stream


def test_a_lost_terminal_costs_only_the_line(products, lost):
    progress = follow(products, JOBS, stream=lost).start(logging.Logger("snakemake"))
    page = Path(products.status_page())
    for _ in range(2):  # again after the line was lost
        progress.write("running", at_once=True)
        assert "DR3: running" in page.read_text()
        page.unlink()
    progress.end("finished")
    assert "DR3: finished" in page.read_text()


def test_neither_terminal_nor_disk_stops_a_run(products, lost, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radiounet.running.progress.write_status", full)
    progress = follow(products, JOBS, stream=lost).start(logging.Logger("snakemake"))
    progress.write("running", at_once=True)
    progress.end("finished")


def test_the_log_of_a_stage_that_stopped_at_bad_data_says_why(tell, progress, tmp_path):
    image, log = write_image(tmp_path / "a.fits", BUNIT="<b>$K$"), tmp_path / "tile.log"
    command = ["tile", "--mosaic", "two", "--image", image, "--log", log]
    command += ["--out", tmp_path / "a.h5"]
    assert start(*command).returncode == BadDataError.exit_status
    tell(progress, "job_started", jobs=[4])
    tell(progress, "job_error", jobid=4, log=[str(log)], rule_msg=None)
    words = progress.status("failed").failed[0]["last_words"]
    assert "rejected two in tile: UnitError: " in words
    assert "<b>$K$" in words


def test_a_comparison_leaves_the_page_of_the_survey_as_it_is(tell, products):
    """Neither does it count as work on a mosaic, nor does publishing one."""
    follow(products, JOBS, ["three"]).start(logging.Logger("x")).end("failed")
    page, file = (Path(path) for path in (products.status_page(), products.status_file()))
    before = page.read_bytes(), file.read_bytes()
    jobs = {1: ("verify_mosaic", "one"), 2: ("verify", None)}
    stream = io.StringIO()
    comparison = follow(products, jobs, ["one", "two"], stream=stream).start(logging.Logger("x"))
    tell(comparison, "job_started", jobs=[1])
    tell(comparison, "job_finished", job_id=1)
    comparison.end("finished")
    assert (page.read_bytes(), file.read_bytes()) == before
    assert stream.getvalue().endswith("2 of 2 mosaics done, 0 running, 0 failed, 0 rejected; 1 of 2 jobs\n")


def test_to_publish_a_mosaic_does_not_make_it(tell, products):
    jobs = {1: ("publish_mosaic", "one"), 2: ("publish", None)}
    publishing = follow(products, jobs, ["one", "two"])
    tell(publishing, "job_started", jobs=[1])
    tell(publishing, "job_finished", job_id=1)
    publishing.start(logging.Logger("x")).end("finished")
    status = json.loads(Path(products.status_file()).read_text())
    assert (status["mosaics"]["done"], status["mosaics_per_hour"]) == (2, None)
    assert status["jobs"]["done"] == 1
