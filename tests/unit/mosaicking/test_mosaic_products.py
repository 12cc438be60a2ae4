import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from test_facets import write_offsets, write_regions

from radiounet.errors import BadDataError, ConfigError, FrequencyError
from radiounet.images.products import Products
from radiounet.images.provenance import sha256_of
from radiounet.images.squares import Mosaic
from radiounet.mosaicking.mosaic_products import mosaic_fields
from radiounet.settings.mosaics import MosaicOptions
from radiounet.settings.releases import DR2, DR3
from radiounet.survey.survey import Survey
from skies import write_field
from stages import fetch_field

OPTIONS = MosaicOptions(rms_box_px=120)
PLACE = Mosaic("m", 150.0, 35.0, 100)


@pytest.fixture
def products(tmp_path):
    """Fields a and b, field far elsewhere on the sky, and c, which could not be fetched."""
    products = Products(str(tmp_path / "dr2"))
    for name, ra in (("a", 150.0), ("b", 150.0), ("far", 200.0)):
        write_field(tmp_path / "raw", name, sky=1e-2, ra=ra, beam=0.8)
    for name in ("a", "b", "far", "c"):
        fetch_field(products, name, tmp_path / "raw")
    return products


def make(products, options=OPTIONS, release=DR3, fields=("a", "b", "c", "far")):
    mosaic_fields("m", Survey(release, [PLACE]), fields, products, options)
    return fits.getdata(products.image("m"))


def test_products_say_what_they_are_made_of(products):
    image = make(products)
    header = fits.getheader(products.image("m"))
    assert (header["NFIELDS"], header["NMISSING"], header["OBJECT"]) == (2, 1, "m")
    assert header["NOISERAT"] > 0
    history = str(header["HISTORY"])
    assert "field a rms" in history
    assert "without c" in history
    table = Table.read(products.image("m"), hdu="FIELDS")
    assert table["field"].tolist() == ["a", "b", "c", "far"]
    assert table["used"].tolist() == [True, True, False, False]
    assert table["int_sha256"][0] == sha256_of(products.field_image("a", "int"))
    assert table["app_sha256"][1] == sha256_of(products.field_image("b", "app"))
    assert table["int_sha256"][1] != table["app_sha256"][1]
    assert table["reason"][2].startswith("NotInArchiveError: ")
    assert table["reason"][3].startswith("NoOverlapError")
    assert str(table["rms"].unit) == "Jy / beam"
    weights, rms = (fits.getdata(path) for path in (products.weights("m"), products.rms("m")))
    np.testing.assert_allclose(rms, 1 / np.sqrt(weights), rtol=1e-6)
    assert image.dtype.itemsize == weights.dtype.itemsize == 4
    assert fits.getheader(products.weights("m"))["BUNIT"] == "(Jy/beam)**-2"
    assert fits.getheader(products.rms("m"))["BUNIT"] == "JY/BEAM"
    left_out = json.loads(Path(products.left_out("m")).read_text())["left_out"]
    assert [one["name"] for one in left_out] == ["c", "far"]


def set_frequencies(products, **frequencies):
    for name, frequency in frequencies.items():
        with fits.open(products.field_image(name, "int"), mode="update") as hdus:
            for key in ("RESTFRQ", "RESTFREQ", "FREQ"):
                hdus[0].header.remove(key, ignore_missing=True)
            if frequency:
                hdus[0].header["RESTFRQ"] = frequency


def test_the_frequency_is_the_mean_of_the_fields(products, caplog):
    set_frequencies(products, a=1.28e9, b=1.30e9, far=9e8)
    make(products)
    assert fits.getheader(products.image("m"))["RESTFRQ"] == 1.29e9
    set_frequencies(products, a=None, b=1.28e9)
    make(products)
    assert fits.getheader(products.image("m"))["RESTFRQ"] == 1.28e9
    assert "no frequency in the header" in caplog.text


def test_fields_of_two_frequencies_make_no_mosaic(products):
    set_frequencies(products, a=9e8, b=1.4e9)
    with pytest.raises(FrequencyError, match="900 MHz.*1400 MHz"):
        make(products)


def test_a_missing_neighbour_rejects_where_the_config_says_so(products):
    strict = MosaicOptions(rms_box_px=120, missing_field="reject")
    with pytest.raises(BadDataError):
        make(products, strict, fields=["a", "c"])
    # a field that has nothing to give here is no missing neighbour
    assert np.isfinite(make(products, strict, fields=["a", "far"])).any()


def test_blanking(products):
    assert np.isfinite(make(products)).all()
    assert np.isfinite(make(products, release=DR2)).mean() == pytest.approx(np.pi / 4, abs=0.01)
    everything = OPTIONS.model_copy(update={"blank": "none"})
    assert np.isfinite(make(products, everything, release=DR2)).all()
    neighbour = Mosaic("other", 150.0, 35.02, 100)  # 16 px to the north
    cell = OPTIONS.model_copy(update={"blank": "cell"})
    mosaic_fields("m", Survey(DR2, [PLACE, neighbour]), ["a"], products, cell)
    image = fits.getdata(products.image("m"))
    # the border lies 8 px north of the centre, row 49
    assert np.isfinite(image[56, 49])
    assert np.isnan(image[59, 49])
    assert not fits.getdata(products.weights("m"))[59, 49]


def test_flux_scales_come_from_a_table(products, tmp_path, caplog):
    (tmp_path / "scales.csv").write_text("field,flux_scale\na ,2.0\n")
    scaled = OPTIONS.model_copy(update={"flux_scale": str(tmp_path / "scales.csv")})
    plain = make(products, fields=["a"])
    np.testing.assert_allclose(make(products, scaled, fields=["a"]), 2 * plain, rtol=1e-6)
    assert "has no factor" not in caplog.text
    make(products, scaled, fields=["a", "b"])
    assert f"{tmp_path}/scales.csv has no factor for b: 1 is used" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("field,flux_scale\na,0\n", "has 0.0 for a: it must be above 0"),
        ("field,flux_scale\na,nan\n", "has nan for a"),
        ("field,flux_scale\na,-1\n", "has -1.0 for a"),
        ("field,flux_scale\na,much\n", "no columns field, flux_scale"),
        ("name,f\na,1\n", "no columns field, flux_scale"),
        (
            "field,flux_scale\nb,1\na,2.0\na,2.0\n",
            "more than one row for field a: keep only one row per field$",
        ),
        ("field,flux_scale\na,2.0\na ,2.0\n", "csv has more than one row for field a: keep"),
        ("field,flux_scale\na,2.0\na,\n", "more than one row for field a: keep only one row per field$"),
    ],
)
def test_flux_scales_that_can_not_be(products, tmp_path, content, message):
    (tmp_path / "scales.csv").write_text(content)
    scaled = OPTIONS.model_copy(update={"flux_scale": str(tmp_path / "scales.csv")})
    with pytest.raises(ConfigError, match=message):
        make(products, scaled, fields=["a"])


def test_a_flux_scale_left_empty_is_one(products, tmp_path):
    (tmp_path / "scales.csv").write_text("field,flux_scale\na,\n")
    scaled = OPTIONS.model_copy(update={"flux_scale": str(tmp_path / "scales.csv")})
    plain = make(products, fields=["a"])
    np.testing.assert_array_equal(make(products, scaled, fields=["a"]), plain)


def test_fields_by_facet_are_told_facet_by_facet(products, tmp_path, caplog):
    caplog.set_level("INFO")
    regions, offsets = tmp_path / "a.reg", tmp_path / "a.offsets.fits"
    write_regions(regions)
    write_offsets(offsets, ra=[4.5, -9.0], dec=[0.0, 4.5])
    (tmp_path / "a.bad").write_text("#\na,[1]\n")
    templates = {
        "facets": "{field}.reg",
        "facet_offsets": "{field}.offsets.fits",
        "bad_facets": "{field}.bad",
    }
    options = OPTIONS.model_copy(update={key: f"{tmp_path}/{one}" for key, one in templates.items()})
    make(products, options, fields=["a", "a"])  # named twice, used once
    facets = Table.read(products.image("m"), hdu="FACETS")
    assert facets["field"].tolist() == ["a", "a"]
    assert facets["facet"].tolist() == [3, 12]
    assert facets["offset_east"].tolist() == [4.5, -9.0]
    assert facets["left_out"].tolist() == [False, True]
    (row,) = Table.read(products.image("m"), hdu="FIELDS")
    assert (row["facets"], row["facets_left_out"]) == (2, 1)
    assert row["offsets_sha256"] == sha256_of(offsets)
    assert row["facets_sha256"] == sha256_of(regions)
    assert row["bad_sha256"] == sha256_of(tmp_path / "a.bad")
    assert "fields with a list of bad facets: a" in caplog.messages


def test_a_path_that_fits_can_not_write(tmp_path):
    products = Products(str(tmp_path / "d\u00e9" / "dr2"))
    field = write_field(tmp_path / "raw", "a", sky=1e-2)
    for kind, path in (("int", field.int_path), ("app", field.app_path)):
        shutil.copyfile(path, tmp_path / "raw" / f"b.{kind}.fits")
    for name in ("a", "b"):
        fetch_field(products, name, tmp_path / "raw")
    Path(products.field_image("b", "int")).write_text("<html>")
    make(products, fields=["a", "b"])
    assert "d?/dr2" in Table.read(products.image("m"), hdu="FIELDS")["reason"][1]


def test_a_field_never_fetched_and_a_mosaic_unknown(products):
    make(products, fields=["a", "absent"])
    assert fits.getheader(products.image("m"))["NMISSING"] == 1
    with pytest.raises(ConfigError, match="no mosaic elsewhere among the 1 of dr3"):
        mosaic_fields("elsewhere", Survey(DR3, [PLACE]), ["a"], products, OPTIONS)


def test_files_of_a_field_by_their_templates(products, tmp_path):
    noise = np.full((160, 160), 3e-4, np.float32)
    header = fits.getheader(products.field_image("a", "int"))
    (tmp_path / "a").mkdir()
    fits.PrimaryHDU(noise, header).writeto(tmp_path / "a" / "noise.fits")
    options = OPTIONS.model_copy(update={"noise_map": f"{tmp_path}/{{field}}/noise.fits"})
    make(products, options, fields=["a", "b"])
    table = Table.read(products.image("m"), hdu="FIELDS")
    assert table["used"].tolist() == [True, False]
    assert table["rms"][0] == pytest.approx(3e-4)
    assert "b/noise.fits" in table["reason"][1]
