"""The package as a user installs it: a wheel in an environment of its own, far from any checkout."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from programs import start
from stages import own_image, write_image

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "resources" / "models"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # what earlier builds left in the checkout must not get into this one
    shutil.copytree(
        ROOT / "scripts", source / "scripts", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("radiounet-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The command of an environment with this wheel, and all else from the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    others = [one for one in sys.path if one.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "radiounet"


def run(
    command: Path, *arguments: object, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(command), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment | variables,
    )


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "scripts" / "radiounet"
    kinds = (".py", ".j2", ".csv", ".yaml", ".html", ".css", ".js")
    wanted = {f"radiounet/{path.relative_to(package)}" for path in package.rglob("*") if path.suffix in kinds}
    assert held == wanted
    assert {"radiounet/templates/report.html.j2", "radiounet/simulation/lofar_hba.csv"} <= held
    assert any(name.startswith("radiounet/settings/skies/") and name.endswith(".yaml") for name in held)


@pytest.mark.slow
def test_segment_of_a_wheel_makes_what_the_stages_make(installed, tmp_path):
    image = write_image(tmp_path / "a.fits", n_px=220, CDELT1=-5.0 / 3600, CDELT2=5.0 / 3600)
    done = run(installed, "segment", "a.fits", "--out", "out", folder=tmp_path, RADIOUNET_MODELS=str(MODELS))
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stderr  # no progress bar
    made = sorted(one.name for one in (tmp_path / "out").iterdir())
    assert made == ["islands.ecsv", "mask.fits", "overview.png", "prepared.fits", "probability.fits"]
    files = {name: tmp_path / f"stage.{name}.fits" for name in ("image", "probability", "mask")}
    tiles, cores = tmp_path / "tiles.h5", tmp_path / "cores.h5"
    maps = ("--image", files["image"], "--probability", files["probability"], "--mask", files["mask"])
    for stage in (
        ("prepare_image", "--name", "m", "--settings", own_image("m", image), "--out", files["image"]),
        ("tile", "--mosaic", "m", "--image", files["image"], "--out", tiles),
        ("infer", tiles, "--out", cores),
        ("stitch", "--mosaic", "m", "--cores", cores, *maps),
    ):
        done = start(*stage)
        assert done.returncode == 0, done.stderr
    for name in ("probability", "mask"):
        found, expected = (fits.getdata(path) for path in (tmp_path / "out" / f"{name}.fits", files[name]))
        np.testing.assert_array_equal(found, expected)
    assert 0 < (found == 1).sum() < (found == 0).sum()


@pytest.mark.slow
def test_a_wheel_without_models_says_what_to_do(installed, tmp_path):
    write_image(tmp_path / "a.fits")
    folder = tmp_path / "data"
    done = run(installed, "segment", "a.fits", "--out", "out", folder=tmp_path, XDG_DATA_HOME=str(folder))
    assert done.returncode == 78
    assert f"models by name in {folder}/radiounet/models: none" in done.stderr
    assert "radiounet fetch-model" in done.stderr
    assert "RADIOUNET_MODELS" in done.stderr
