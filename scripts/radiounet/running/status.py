"""How a run stands at one moment: its status file and page, and what it says at its end."""

import csv
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from radiounet.images.products import Products
from radiounet.images.provenance import PACKAGE
from radiounet.images.words import write_page
from radiounet.images.writing import atomic

logger = logging.getLogger(__name__)

TEMPLATE = PACKAGE / "templates/status.html.j2"


@dataclass
class Status:
    """What is known of a run at one moment; the status file holds it.

    A killed run cannot say so: after `valid_until` it is not running any more.
    """

    release: str
    began: str
    now: str
    valid_until: str | None
    state: str
    jobs: dict[str, int]
    mosaics: dict[str, int]
    stages: dict[str, dict[str, int]]
    mosaics_per_hour: float | None
    hours_left: float | None
    failed: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, str]] = field(default_factory=list)

    def line(self) -> str:
        """All of it that fits on one line."""
        m, jobs = self.mosaics, self.jobs
        rate = "" if self.mosaics_per_hour is None else f", {self.mosaics_per_hour:.3g}/h"
        left = (
            ""
            if self.hours_left is None or self.state != "running"
            else f", {duration(self.hours_left)} left"
        )
        mosaics = (
            f"{m['done']} of {sum(m.values())} mosaics done, {m['running']} running, "
            f"{m['failed']} failed, {m['rejected']} rejected{rate}; "
        )
        count = len(self.rejected)
        rejections = f", {count} rejection{'s' * (count > 1)}" if count else ""
        # the last run of a survey in regions works on none
        return (
            f"{self.release}: {mosaics if any(m.values()) else ''}"
            f"{jobs['done']} of {sum(jobs.values())} jobs{rejections}{left}"
        )


def duration(hours: float) -> str:
    """Format a duration for people ("3 h 20 min")."""
    if hours >= 48:
        return f"{hours / 24:.1f} d"
    minutes = round(60 * hours)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{max(minutes, 1)} min"


def settle_status(products: Products, is_held: bool) -> None:
    """Say of a run that was killed that it does not run any more.

    Parameters
    ----------
    products : Products
    is_held : bool
        Whether a run has the products for itself.
    """
    path = Path(products.status_file())
    if is_held:
        return
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if '"state": "running"' not in text:
            return
        status = Status(**json.loads(text) | {"state": "killed", "valid_until": None})
        counts = [status.jobs, status.mosaics, *status.stages.values()]
        for count in counts:
            count["waiting"] += count["running"]
            count["running"] = 0
        write_status(status, products)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("%s: how the last run ended cannot be told (%s)", path, error)


def write_status(status: Status, products: Products) -> None:
    """Write the status file (JSON) and the page that reloads itself."""
    with atomic(products.status_file()) as temporary:
        temporary.write_text(json.dumps(asdict(status), indent=1) + "\n", encoding="utf-8")
    left = status.hours_left and duration(status.hours_left)
    site = products.has_site()
    write_page(products.status_page(), TEMPLATE, **asdict(status), left=left, site=site)


def summary(products: Products) -> tuple[int, str]:
    """How many were rejected, and where to look; for the end of a run that merged its catalogue."""
    path, report = products.catalogue("rejected", "csv"), Path(products.report())
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    stages = ", ".join(sorted({row["stage"] for row in rows}))
    found = f"{len(rows)} rejected (in {stages}): see {path}" if rows else "Nothing was rejected"
    if report.is_file() and report.stat().st_mtime >= Path(path).stat().st_mtime:
        return len(rows), f"{found}. Report: {report}"
    return len(rows), found if rows else f"{found}: see {path}"  # a report that is there is of an earlier run
