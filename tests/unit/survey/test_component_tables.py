"""Tables of components: what is recognised, and what is refused."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.errors import ConfigError
from radiounet.images.tables import TableError
from radiounet.settings.components import ComponentTable
from radiounet.survey.component_tables import read_components, write_components
from stages import run_script

LOTSS = {
    "RA": [150.0, 150.1],
    "DEC": [40.0, 40.1],
    "Total_flux": [12.0, 3.0],
    "E_Total_flux": [0.5, 0.2],
    "Maj": [10.0, 6.0],
    "Min": [6.0, 6.0],
    "PA": [30.0, 0.0],
    "DC_Maj": [8.0, 0.0],
    "DC_Min": [0.0, 0.0],
    "DC_PA": [31.0, 0.0],
}
UNITS = {name: "arcsec" for name in ("Maj", "Min", "DC_Maj", "DC_Min")}
UNITS |= {"Total_flux": "mJy", "E_Total_flux": "mJy", "RA": "deg", "DEC": "deg", "PA": "deg", "DC_PA": "deg"}


def write(path, drop=(), units=UNITS, meta=None, **columns):
    made = Table({name: one for name, one in (LOTSS | columns).items() if name not in drop})
    for name, unit in units.items():
        if name in made.colnames:
            made[name].unit = unit
    made.meta = meta or {}
    made.write(path, overwrite=True)
    return str(path)


def read(path, **options):
    return read_components(path, ComponentTable(url=str(path), **options))


def test_a_table_of_lotss(tmp_path):
    found = read(write(tmp_path / "a.fits"))
    assert found.flux_jy.tolist() == pytest.approx([0.012, 0.003])
    assert found.error_jy.tolist() == pytest.approx([0.0005, 0.0002])
    assert (found.major_arcsec.tolist(), found.minor_arcsec.tolist()) == ([8.0, 0.0], [0.0, 0.0])
    assert found.angle_deg.tolist() == [31.0, 0.0]


def test_a_point_has_no_angle(tmp_path):
    """Its angle may be NaN; such a number would spoil the image of all components."""
    found = read(write(tmp_path / "a.fits", DC_Maj=[0.0, 6.0], DC_PA=[np.nan, 31.0]))
    assert found.major_arcsec.tolist() == [0.0, 6.0]
    assert found.angle_deg.tolist() == [0.0, 31.0]


def test_a_table_of_pybdsf_in_jy_and_deg(tmp_path):
    units = UNITS | {"Total_flux": "Jy", "E_Total_flux": "Jy", "DC_Maj": "deg", "DC_Min": "deg"}
    path = write(tmp_path / "a.fits", drop=["DC_PA"], units=units, DC_Maj=[8 / 3600, 0.0])
    found = read(path)
    assert found.flux_jy.tolist() == [12.0, 3.0]
    assert found.major_arcsec == pytest.approx([8.0, 0.0])
    assert found.angle_deg.tolist() == [30.0, 0.0]  # PA, where there is no DC_PA


def test_another_table_by_a_mapping_of_columns_and_units(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("lon,lat,S,a,b,t\n150,40,12,10,6,0\n150.1,40,3,6,6,0\n")
    names = {"ra": "lon", "dec": "lat", "flux": "S", "major": "a", "minor": "b", "angle": "t"}
    units = {"flux": "mJy", "major": "arcsec", "minor": "arcsec"}
    found = read(path, columns=names, units=units, beam_arcsec=6.0, flux_error=0.2)
    assert found.error_jy.tolist() == pytest.approx([0.0024, 0.0006])
    # sqrt(10^2 - 6^2)
    assert (found.major_arcsec.tolist(), found.minor_arcsec.tolist()) == ([8.0, 0.0], [0.0, 0.0])


def test_sizes_that_hold_the_beam(tmp_path):
    path = write(tmp_path / "a.fits", drop=["DC_Maj", "DC_Min", "DC_PA"])
    assert read(path, beam_arcsec=6.0).major_arcsec.tolist() == [8.0, 0.0]
    with pytest.raises(
        ConfigError, match=r"no column for major \(dc_maj\), minor.*or measure.components.beam"
    ):
        read(path)


def test_rows_elsewhere_are_not_looked_at(tmp_path):
    path = write(tmp_path / "a.fits", Total_flux=[12.0, np.nan])
    found = read_components(path, ComponentTable(url=path), (150.0, 40.0, 0.05))
    assert found.ra_deg.tolist() == [150.0]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (
            {"drop": ["Total_flux"]},
            ConfigError,
            r"no column for flux .*measure.components.columns; it has RA, ",
        ),
        ({"units": {}}, ConfigError, r"flux has no unit, such as mJy: state it in measure.components.units"),
        ({"units": UNITS | {"Total_flux": "fluxes"}}, ConfigError, r"fluxes is not a unit.*components.units"),
        ({"units": UNITS | {"Total_flux": "mag"}}, ConfigError, r"flux is in mag, which cannot become Jy"),
        (
            {"meta": {"RADESYS": "FK4", "EQUINOX": 1950.0}},
            ConfigError,
            "frame is fk4: positions must be ICRS",
        ),
        ({"meta": {"EQUINOX": 1950.0}}, ConfigError, "equinox is 1950.0: positions must be ICRS"),
        (
            {"Total_flux": [np.nan, 3.0]},
            TableError,
            r"1 of 2 components have no flux density above 0 \(rows 1\)",
        ),
        ({"Total_flux": [12.0, -3.0]}, TableError, r"\(rows 2\): correct or remove these rows"),
        ({"RA": [np.nan, 150.0]}, TableError, r"1 of 2 components have no position \(rows 1\)"),
        ({"DEC": [140.0, 40.0]}, TableError, r"have no position \(rows 1\)"),
        ({"DEC": [40.0, -140.0]}, TableError, r"have no position \(rows 2\)"),
        ({"DC_Maj": [np.nan, 0.0]}, TableError, r"have no size, the longer axis first \(rows 1\)"),
        (
            {"RA": [150.0, 150.0], "DEC": [40.0, 40.0], "Total_flux": [3.0, 3.0]},
            TableError,
            r"lists 1 components more than once, first in rows 1: .*remove the copies",
        ),
        (
            {"RA": [-210.0, 150.0], "DEC": [40.0, 40.0], "Total_flux": [3.0, 3.0]},
            TableError,
            r"lists 1 components more than once, first in rows 1: .*remove the copies",
        ),
        (
            {"total_flux": [1.0, 1.0]},
            ConfigError,
            "has the columns Total_flux and total_flux: name the right",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_name(tmp_path, changes, error, said):
    path = write(tmp_path / "a.ecsv", **changes)
    with pytest.raises(error, match=said):
        read(path)


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (None, ConfigError, "there is no table of components .*see measure.components"),
        (b"SIMPLE  =", TableError, "a.fits"),
        (b"<html>busy</html>", TableError, "is not a VOTable"),
        (b"ra,dec,flux\n", TableError, "has no rows: leave measure.components out"),
    ],
)
def test_what_is_no_table(tmp_path, content, error, said):
    path = tmp_path / "a.fits"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=said):
        read(path)


def test_a_column_that_a_mapping_names_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"no column S, which measure.components.columns names; it has RA"):
        read(write(tmp_path / "a.fits"), columns={"flux": "S"})


def test_a_fetched_table_reads_back_alike(tmp_path):
    path = write(tmp_path / "P1.fits")
    options = {"url": f"file://{tmp_path}/{{mosaic}}.fits"}
    settings = json.dumps({"measure": {"components": options}})
    out = tmp_path / "out" / "P1.fits"
    run_script("fetch_components", "--mosaic", "P1", "--settings", settings, "--out", out)
    before, after = read(path), read(out)
    np.testing.assert_array_equal(before.flux_jy, after.flux_jy)
    np.testing.assert_array_equal(before.major_arcsec, after.major_arcsec)
    assert "CODEHASH" in fits.getheader(out)
    assert sorted(one.name for one in out.parent.iterdir()) == ["P1.fits"]
    write_components(tmp_path / "again.fits", after, "here")
    np.testing.assert_array_equal(read(tmp_path / "again.fits").error_jy, before.error_jy)
