"""`make train-leg` from call to call, with a training of one step a minute in place of the real one."""

import re
import shutil
import subprocess
import sys

import pytest

from radiounet.images.provenance import PACKAGE

WEIGHTS = "resources/training/lotss-classes/weights.npz"
TRAINING = """
import argparse, pathlib
parser = argparse.ArgumentParser()
for name in ("folder", "initial"):
    parser.add_argument(f"--{name}", type=pathlib.Path)
for name in ("minutes", "cores", "first-seed", "steps", "decay"):
    parser.add_argument(f"--{name}", type=int)
args = parser.parse_args()
args.folder.mkdir(parents=True, exist_ok=True)
state = args.folder / "state"
step = min(args.steps, args.minutes + (int(state.read_text()) if state.exists() else 0))
state.write_text(str(step))
(args.folder / "weights.npz").write_text(f"{args.initial.read_text()}, VERSION {step} steps")
if step:
    (args.folder / "curve.csv").write_text(f"step,loss\\n{step},0.5\\n")
print("seed", args.first_seed, "decay", args.decay)
"""


class Checkout:
    """A repository with the Makefile and a training whose code has a version."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("envs/dev.lock", "pyproject.toml", ".venv/.installed", WEIGHTS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("old")
        (folder / ".venv/bin").mkdir()
        (folder / ".venv/bin/python").symlink_to(sys.executable)
        (folder / ".gitignore").write_text(".venv\n.leg\n")
        shutil.copy(PACKAGE.parents[1] / "Makefile", folder)
        self.git("init", "--quiet")
        self.commit("one")

    def git(self, *words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *who, *words], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, version):
        """Commit all, with code of this version; returns the short name of the commit."""
        (self.folder / "scripts").mkdir(exist_ok=True)
        (self.folder / "scripts/train_leg.py").write_text(TRAINING.replace("VERSION", version))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", version)
        return self.git("rev-parse", "--short=6", "HEAD")

    def leg(self, *words):
        done = subprocess.run(
            ["make", "train-leg", *words], cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def weights(self):
        return (self.folder / WEIGHTS).read_text()


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_the_weights_that_a_leg_begins_with_are_there():
    assert (PACKAGE.parents[1] / WEIGHTS).is_file()


def test_a_leg_goes_on_with_its_own_code_until_its_schedule_ends(checkout):
    first = checkout.git("rev-parse", "--short=6", "HEAD")
    code = checkout.folder / f".leg/{first}/code"
    status, said = checkout.leg("MINUTES=2", "STEPS=5")
    assert status == 0, said
    assert "step 2 of 5: the schedule has not ended, and no weights were copied" in said
    assert f"seed {1_000_000 + int(first, 16)} decay 5" in said
    assert checkout.weights == "old"
    # neither a commit nor another number of steps makes another leg of it
    second = checkout.commit("two")
    status, said = checkout.leg("MINUTES=2", "STEPS=9")
    assert f"leg: .leg/{first}" in said
    assert "step 4 of 5" in said
    assert code.is_dir()
    status, said = checkout.leg("MINUTES=2")
    assert status == 0, said
    assert checkout.weights == "old, one 5 steps"
    assert (checkout.folder / f"resources/training/lotss-classes/leg-{first}.csv").is_file()
    assert not code.exists()
    assert checkout.git("worktree", "list").count("\n") == 0
    # the next one would begin with the weights of the last commit
    status, said = checkout.leg("MINUTES=2", "STEPS=2")
    assert status == 2
    assert "a leg has ended: commit its curve in resources/training/lotss-classes" in said
    assert not (checkout.folder / f".leg/{second}").exists()
    # and does not, where its weights are the old ones: the curve is not committed either
    checkout.git("restore", WEIGHTS)
    assert checkout.leg("MINUTES=2", "STEPS=2")[0] == 2
    third = checkout.commit("three")
    status, said = checkout.leg("MINUTES=2", "STEPS=2")
    assert f"leg: .leg/{third}" in said
    assert checkout.weights == "old, three 2 steps"


def test_a_leg_that_ended_is_not_repeated_by_itself(checkout):
    checkout.leg("MINUTES=1", "STEPS=1")
    checkout.git("restore", WEIGHTS)
    checkout.git("clean", "--force", "resources")
    status, said = checkout.leg("MINUTES=1", "STEPS=1")
    assert status == 2
    (command,) = re.findall("rm -rf .leg/[0-9a-f]{6}", said)
    subprocess.run(command.split(), cwd=checkout.folder, check=True)
    assert checkout.leg("MINUTES=1", "STEPS=1")[0] == 0
    assert checkout.weights == "old, one 1 steps"


def test_a_dropped_leg_makes_way_for_that_of_the_commit(checkout):
    checkout.leg("MINUTES=0", "STEPS=3")
    second = checkout.commit("two")
    status, said = checkout.leg("MINUTES=0", "STEPS=3")
    assert status == 0
    assert "step 0 of 3" in said
    (command,) = re.findall("rm -r .leg/[0-9a-f]{6}", said)
    subprocess.run(command.split(), cwd=checkout.folder, check=True)
    status, said = checkout.leg("MINUTES=3", "STEPS=3")
    assert f"leg: .leg/{second}" in said
    assert checkout.weights == "old, two 3 steps"


def test_of_several_unfinished_legs_one_must_be_named(checkout):
    checkout.leg("MINUTES=1", "STEPS=3")
    # as an older Makefile left them
    checkout.git("worktree", "add", "--quiet", "--detach", ".leg/abcdef/code")
    status, said = checkout.leg("MINUTES=1")
    assert status == 2
    assert "several legs are unfinished" in said
    status, said = checkout.leg("MINUTES=1", "STEPS=2", "LEG=.leg/abcdef")
    assert status == 0, said
    assert f"seed {1_000_000 + 0xABCDEF} decay 2" in said
    assert "step 1 of 2" in said
