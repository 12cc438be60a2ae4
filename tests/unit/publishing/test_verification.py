import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from markdown_it import MarkdownIt
from pydantic import ValidationError

from radiounet.errors import CelestialError, ConfigError, NotInArchiveError, ShapeMismatchError
from radiounet.images.products import Products
from radiounet.images.rejections import read_rejection
from radiounet.publishing.verdict import merge_verifications
from radiounet.publishing.verification import VERDICTS, Agreement, agreement, verify_mosaic
from radiounet.running.outputs import claim_outputs
from radiounet.settings.archive import DownloadOptions
from radiounet.settings.segmentation import VerifyOptions
from stages import HALO, N_PX, run_script, run_stages, write_image

NAN = np.nan
BLANK_ROWS = 10
CLUSTERS = ("halo | <b>", "twin", "twin")
ANSWERS = DownloadOptions(attempts=1)


def test_agreement_by_hand():
    ours = np.array([[1, 1, 0, 255, 1, 255]], np.uint8)
    theirs = np.array([[1, 0, 0, 1, NAN, 0]])
    found = agreement((ours, theirs), (np.array([[0.5, 0.2, NAN]]), np.array([[0.5, 0.4, 0.1]])))
    assert found.pixels == 2
    assert (found.data_only_ours, found.data_only_reference) == (1, 1)
    assert (found.differing, found.iou, found.dice) == (1, 0.5, pytest.approx(2 / 3))
    assert (found.masked_only_ours, found.masked_only_reference) == (1, 0)
    assert found.largest_difference == pytest.approx(0.2)


def test_masked_pixels_of_either_side_are_counted_by_hand():
    ours = np.array([[1, 1, 1, 0, 0, 0, 1, 255]], np.uint8)
    theirs = np.array([[1, 0, 0, 1, 0, 0, 255, 1]], np.uint8)
    found = agreement((ours, theirs), None)
    assert (found.pixels, found.data_only_ours, found.data_only_reference) == (6, 1, 1)
    assert (found.differing, found.masked_only_ours, found.masked_only_reference) == (3, 2, 1)
    assert (found.iou, found.dice) == (1 / 4, 2 / 5)
    found = agreement(None, (np.array([[0.5]]), np.array([[0.5]])))
    assert (found.differing, found.masked_only_ours, found.masked_only_reference) == (None, None, None)


def test_masks_of_nothing_agree():
    empty = np.zeros((3, 3), np.uint8)
    found = agreement((empty, empty), None)
    assert (found.iou, found.dice, found.differing, found.largest_difference) == (None, None, 0, None)
    assert found.passes(VerifyOptions())


def test_what_passes():
    options = VerifyOptions(min_iou=0.9, max_difference=0.01)
    assert Agreement(9, 0, 0, iou=0.9, largest_difference=0.01).passes(options)
    assert not Agreement(9, 0, 0, iou=0.89, largest_difference=0.01).passes(options)
    assert not Agreement(9, 0, 0, iou=0.9, largest_difference=0.02).passes(options)
    assert not Agreement(0, 0, 0).passes(options)
    assert not Agreement(9, 1, 0).passes(options)
    assert not Agreement(9, 0, 1).passes(options)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """Products of every stage: a mosaic with a halo and three clusters, and one that is rejected."""
    folder = tmp_path_factory.mktemp("first")
    images = {"m": write_image(folder / "m.fits"), "lost": write_image(folder / "k.fits", BUNIT="K")}
    wcs = WCS(fits.getheader(images["m"]))
    places = wcs.wcs_pix2world([HALO[::-1], (30, 160), (160, 30)], 0)
    table = Table({"name": CLUSTERS, "ra": places[:, 0], "dec": places[:, 1], "z": [0.2] * 3})
    table["R500"] = [1.5, 0.5, 0.5]
    table["R500"].unit = "arcmin"
    table.write(folder / "clusters.ecsv")
    products = Products(str(folder / "images"))
    run_stages(products, images, folder / "clusters.ecsv")
    return products


@pytest.fixture
def survey(first_run, tmp_path):
    """Our products, and the same once more as the reference."""
    ours, reference = (Products(str(tmp_path / name)) for name in ("ours", "reference"))
    for products in (ours, reference):
        shutil.copytree(first_run.root, products.root)
    return ours, reference


def change(path, by):
    """Write a product anew with other pixels."""
    with fits.open(path) as hdus:
        hdus[0].data = by(hdus[0].data.copy())
        hdus.writeto(path, overwrite=True)


def verify(survey, tmp_path, mosaic="m", **changes):
    ours, reference = survey
    options = VerifyOptions(
        masks=f"file://{reference.root}/masks/{{mosaic}}.fits",
        probabilities=f"{reference.root}/probability/{{mosaic}}.fits",
        **changes,
    )
    found = verify_mosaic(mosaic, ours, options, ANSWERS, str(tmp_path / "out" / "m.json"))
    assert json.loads((tmp_path / "out" / "m.json").read_text()) == found
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["m.json"]
    return found


def test_the_same_bytes_are_identical(survey, tmp_path):
    found = verify(survey, tmp_path)
    assert found["verdict"] == "identical"
    assert found["identical"] == {"mask": True, "probability": True}
    assert found["mosaic"]["pixels"] == N_PX * (N_PX - BLANK_ROWS)
    assert [one["name"] for one in found["clusters"]] == list(CLUSTERS)  # both of one name
    assert [one["iou"] for one in found["clusters"]] == [1, None, None]
    assert found["differences"] == []


def test_within_what_is_allowed_they_are_equal(survey, tmp_path):
    change(survey[1].probability("m"), lambda values: values + np.float32(5e-5))
    found = verify(survey, tmp_path)
    assert found["verdict"] == "equal"
    assert found["mosaic"]["largest_difference"] == pytest.approx(5e-5, rel=0.01)
    assert found["identical"] == {"mask": True, "probability": False}
    assert verify(survey, tmp_path, max_difference=1e-5)["verdict"] == "different"


def test_a_mosaic_that_lost_its_data_is_no_equal(survey, tmp_path):
    def lose(path, rows, value):
        def blank(values):
            values[rows:] = value
            return values

        change(path, blank)

    ours, _ = survey
    for rows, lost in ((120, 80), (0, N_PX - BLANK_ROWS)):
        lose(ours.mask("m"), rows, 255)
        lose(ours.probability("m"), rows, np.nan)
        found = verify(survey, tmp_path)
        assert found["verdict"] == "different"
        assert (found["mosaic"]["data_only_ours"], found["mosaic"]["data_only_reference"]) == (0, lost * N_PX)
        merge_verifications([str(tmp_path / "out" / "m.json")], str(tmp_path / "all.json"))
        page = (tmp_path / "all.md").read_text()
        assert f"probability: {lost * N_PX} pixels have data on one side only, first at RA" in page
        place = next(one for one in found["differences"] if one["kind"] == "probability")
        assert (place["y_px"], place["x_px"]) == (max(rows, BLANK_ROWS), 0)
        assert place["ours"] is None
        assert place["reference"] is not None


def test_one_pixel_with_data_on_one_side_is_a_difference_that_the_page_explains(survey, tmp_path):
    def blank(mask):
        mask[150, 20] = 255
        return mask

    change(survey[1].mask("m"), blank)
    found = verify(survey, tmp_path)
    assert (found["verdict"], found["mosaic"]["differing"], found["mosaic"]["iou"]) == ("different", 0, 1)
    assert (found["mosaic"]["data_only_ours"], found["mosaic"]["data_only_reference"]) == (1, 0)
    merge_verifications([str(tmp_path / "out" / "m.json")], str(tmp_path / "all.json"))
    page = (tmp_path / "all.md").read_text()
    assert "Of 1 mosaic: 0 identical, 0 equal, 0 not compared, 1 different." in page
    assert "| mask pixels that differ | masked only in ours | masked only in the reference " in page
    assert "| data only in ours | data only in the reference |" in page
    assert "mask: 1 pixel has data on one side only, first at RA" in page
    assert "a single pixel has data on one side only" in page


def test_the_border_that_the_published_code_leaves_zero_counts_for_nothing(survey, tmp_path):
    def border(value):
        def written(values):
            values[:, :8] = value
            return values

        return written

    ours, reference = survey
    for products, mask, probability in ((ours, 255, np.nan), (reference, 0, 0)):
        change(products.mask("m"), border(mask))
        change(products.probability("m"), border(probability))
    found = verify(survey, tmp_path)
    assert found["verdict"] == "equal"
    assert found["mosaic"]["pixels"] == (N_PX - BLANK_ROWS) * (N_PX - 8)


def test_a_template_must_be_one(survey, tmp_path):
    ours, _ = survey
    with pytest.raises(ConfigError, match="where the references are"):
        verify_mosaic("m", ours, VerifyOptions(), ANSWERS, str(tmp_path / "m.json"))
    with pytest.raises(ValidationError, match="unknown {field}"):
        VerifyOptions(masks="/d/{mosaic}/{field}")


def test_one_cluster_that_differs_is_a_difference(survey, tmp_path):
    """A second island far away keeps the whole mosaic's agreement up; half of a cluster is missing."""
    ours, reference = survey

    def second_island(mask):
        mask[150:190, 20:190] = 1
        return mask

    def half_a_halo(mask):
        mask[:, HALO[1] :][mask[:, HALO[1] :] == 1] = 0
        return second_island(mask)

    change(ours.mask("m"), second_island)
    change(reference.mask("m"), half_a_halo)
    found = verify(survey, tmp_path, min_iou=0.3)
    assert found["verdict"] == "equal"
    halo = found["clusters"][0]
    assert halo["iou"] == pytest.approx(0.5, abs=0.05)
    assert found["mosaic"]["iou"] > 0.7
    assert verify(survey, tmp_path, min_iou=0.7)["verdict"] == "different"


@pytest.mark.parametrize("kind", ["mask", "probability"])
@pytest.mark.parametrize(
    ("shift", "inside"), [((0, 0), ["halo | <b>"]), ((-60, 55), [])], ids=["in the cluster", "outside"]
)
def test_one_changed_pixel_is_named_with_its_place(survey, tmp_path, kind, shift, inside):
    ours, reference = survey
    y, x = HALO[0] + shift[0], HALO[1] + shift[1]
    path = getattr(reference, kind)("m")

    def flip(values):
        values[y, x] = 1 - values[y, x]
        return values

    before = fits.getdata(path)[y, x]
    change(path, flip)
    found = verify(survey, tmp_path, min_iou=1.0)
    assert found["verdict"] == "different"
    if kind == "mask":
        only = ("masked_only_ours", "masked_only_reference")
        assert [found["mosaic"][key] for key in only] == [before, 1 - before]
    (place,) = found["differences"]
    assert (place["kind"], place["pixels"], place["x_px"], place["y_px"]) == (kind, 1, x, y)
    assert [place["ours"], place["reference"]] == pytest.approx([before, 1 - before])
    ra, dec = WCS(fits.getheader(path)).wcs_pix2world([[x, y]], 0)[0]
    assert [place["ra_deg"], place["dec_deg"]] == pytest.approx([ra, dec], abs=1e-7)
    assert place["clusters"] == inside
    islands = Table.read(ours.islands("m"))
    assert place["island"] in list(islands["name"])
    # the halo's centre, whose island has its centroid within 0.5'
    assert (place["island_distance_arcmin"] < 0.5) is (shift == (0, 0))
    merge_verifications([str(tmp_path / "out" / "m.json")], str(tmp_path / "all.json"))
    page = (tmp_path / "all.md").read_text()
    assert f"{kind}: 1 pixel differs, " in page
    assert f"RA {ra:.5f}, Dec {dec:+.5f} (x {x}, y {y}, from 0)" in page


@pytest.mark.parametrize(("right_px", "differing"), [(19, 1), (21, 0)])
def test_a_cluster_is_compared_within_r500(survey, tmp_path, right_px, differing):
    """Of 1.5', which are 20 pixels of 4.5"."""

    def flip(mask):
        mask[HALO[0], HALO[1] + right_px] ^= 1
        return mask

    change(survey[1].mask("m"), flip)
    found = verify(survey, tmp_path)
    assert found["mosaic"]["differing"] == 1
    assert [one["differing"] for one in found["clusters"]] == [differing, 0, 0]


def test_the_page_has_the_iou_of_the_worst_cluster(survey, tmp_path):
    """Of ten pixels in each of two clusters the reference lacks one, and six; the third is empty."""

    def only(in_halo, in_twin):
        def emission(mask):
            mask[mask == 1] = 0
            mask[HALO[0], HALO[1] : HALO[1] + in_halo] = 1
            mask[160, 25 : 25 + in_twin] = 1
            return mask

        return emission

    for products, counts in zip(survey, ((10, 10), (9, 4)), strict=True):
        change(products.mask("m"), only(*counts))
    found = verify(survey, tmp_path)
    assert [one["iou"] for one in found["clusters"]] == [0.9, 0.4, None]
    merge_verifications([str(tmp_path / "out" / "m.json")], str(tmp_path / "all.json"))
    head, row = cells_of((tmp_path / "all.md").read_text())
    assert row[head.index("worst cluster's IoU")] == "0.4"


def test_a_mosaic_without_clusters(survey, tmp_path):
    folder = tmp_path / "none"
    products = Products(str(folder / "images"))
    run_stages(products, {"m": write_image(folder / "m.fits")})
    found = verify((products, products), tmp_path)
    assert (found["verdict"], found["clusters"]) == ("identical", [])
    # another noise, the same halo: another mask
    run_stages(products, {"m": write_image(folder / "m.fits", seed=5)})
    found = verify((products, survey[1]), tmp_path)
    assert found["verdict"] == "different"
    assert found["mosaic"]["iou"] > 0.5


OTHER_SKY = "deg apart .*icrs and (galactic|fk4|fk5)|differ in their coordinates"


def recast(path, **cards):
    with fits.open(path) as hdus:
        hdus[0].header.update(cards)
        hdus.writeto(path, overwrite=True)


@pytest.mark.parametrize(
    ("cards", "error", "words"),
    [
        ({"CRVAL1": 150.1}, ShapeMismatchError, "differ in their coordinates"),
        ({"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"}, ShapeMismatchError, OTHER_SKY),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, ShapeMismatchError, OTHER_SKY),
        ({"RADESYS": "FK5", "EQUINOX": 2015.0}, ShapeMismatchError, OTHER_SKY),
        ({"CTYPE1": "FREQ"}, CelestialError, "celestial"),
    ],
    ids=["centre", "Galactic", "B1950", "J2015", "no sky"],
)
@pytest.mark.parametrize("kind", ["mask", "probability"])
def test_a_reference_of_another_sky_is_refused(survey, tmp_path, kind, cards, error, words):
    recast(getattr(survey[1], kind)("m"), **cards)
    with pytest.raises(error, match=words) as caught:
        verify(survey, tmp_path)
    assert caught.value.file.endswith(f"reference/{'masks' if kind == 'mask' else kind}/m.fits")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_frame_that_is_the_same_sky_is_compared(survey, tmp_path):
    # FK5 of J2000 is within 0.03 arcsec of ICRS
    for path in (survey[1].mask("m"), survey[1].probability("m")):
        recast(path, RADESYS="FK5", EQUINOX=2000.0)
    assert verify(survey, tmp_path)["verdict"] == "equal"


def test_references_that_can_not_be_had_or_compared(survey, tmp_path):
    ours, reference = survey
    options = VerifyOptions(masks=f"{tmp_path}/absent/{{mosaic}}.fits")
    with pytest.raises(NotInArchiveError):
        verify_mosaic("m", ours, options, ANSWERS, str(tmp_path / "out" / "m.json"))
    shutil.copy(reference.mask("lost"), reference.mask("m"))
    with pytest.raises(NotInArchiveError, match="itself rejected: UnitError"):
        verify(survey, tmp_path)
    header = fits.getheader(ours.mask("m"))
    fits.PrimaryHDU(np.zeros((50, 50), np.uint8), header).writeto(reference.mask("m"), overwrite=True)
    with pytest.raises(ShapeMismatchError, match="mask of m and its reference"):
        verify(survey, tmp_path)
    assert not any(path.suffix == ".fits" for path in (tmp_path / "out").iterdir())


def run_verify(survey, tmp_path, mosaic):
    ours, reference = survey
    result = tmp_path / "out" / f"{mosaic}.json"
    maps = {"masks": "masks", "probabilities": "probability"}
    verify = {key: f"{reference.root}/{folder}/{{mosaic}}.fits" for key, folder in maps.items()}
    settings = ("--settings", json.dumps({"verify": verify}))
    run_script("verify_mosaic", "--root", ours.root, "--mosaic", mosaic, *settings, "--out", result)
    return result


def test_a_rejected_mosaic_is_not_compared_and_the_page_says_why(survey, tmp_path):
    results = [run_verify(survey, tmp_path, name) for name in ("m", "lost")]
    assert read_rejection(results[1]).reason.startswith("UnitError")
    found = merge_verifications([*map(str, results)], str(tmp_path / "all.json"))
    assert found["verdict"] == "not compared"
    assert found["counts"] == {"identical": 1, "equal": 0, "not compared": 1, "different": 0}
    assert "| lost | not compared: UnitError: " in (tmp_path / "all.md").read_text()


@pytest.mark.parametrize(
    ("kinds", "verdict"),
    [
        (["identical", "identical"], "identical"),
        (["equal", "identical"], "equal"),
        (["identical", "lost", "equal"], "not compared"),
        (["lost"], "not compared"),
        (["lost", "different", "identical"], "different"),
        (["different", "equal"], "different"),
    ],
)
def test_the_verdict_of_all_is_the_worst(survey, tmp_path, kinds, verdict):
    folder = tmp_path / "of each"
    folder.mkdir()
    shutil.copyfile(run_verify(survey, tmp_path, "m"), folder / "identical")
    shutil.copyfile(run_verify(survey, tmp_path, "lost"), folder / "lost")
    for kind, change_by in (("equal", 5e-5), ("different", 5e-4)):
        change(survey[1].probability("m"), lambda values, by=change_by: values + np.float32(by))
        shutil.copyfile(run_verify(survey, tmp_path, "m"), folder / kind)
    out = tmp_path / "all.json"
    found = merge_verifications([str(folder / kind) for kind in kinds], str(out))
    assert found["verdict"] == verdict
    assert found["counts"] == {
        one: (kinds + ["not compared"] * ("lost" in kinds)).count(one) for one in VERDICTS
    }
    claim_outputs([out, out.with_suffix(".md")])  # they are known again
    out.unlink()  # which would vouch for the page
    claim_outputs([out.with_suffix(".md")])


def cells_of(page):
    """Text of a page's table, row by row, as a reader of Markdown sees it."""
    rows = []
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            assert {child.type for child in token.children} <= {"text", "text_special"}
            rows[-1].append("".join(child.content for child in token.children))
    return rows


def test_one_verdict_of_all(survey, tmp_path):
    same = str(run_verify(survey, tmp_path, "m"))
    assert merge_verifications([same, same], str(tmp_path / "all.json"))["verdict"] == "identical"
    for products in survey:
        shutil.copyfile(products.mask("m"), products.mask("missing"))
        shutil.copyfile(products.probability("m"), products.probability("missing"))
    Path(survey[1].mask("missing")).unlink()
    missing = str(run_verify(survey, tmp_path, "missing"))
    found = merge_verifications([same, missing], str(tmp_path / "all.json"))
    assert found["verdict"] == "not compared"
    assert found["counts"] == {"identical": 1, "equal": 0, "not compared": 1, "different": 0}
    claim_outputs([same, tmp_path / "all.json", tmp_path / "all.md"])  # they are known again
    page = (tmp_path / "all.md").read_text()
    assert page.startswith("# Verdict: not compared\n\nOf 2 mosaics: 1 identical, 0 equal, 1 not compared, ")
    assert "| m | identical | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1 |" in page
    assert "| missing | not compared: NotInArchiveError: " in page


def test_reasons_with_markup_stay_in_their_cell(survey, tmp_path):
    paths = [str(run_verify(survey, tmp_path, name)) for name in ("m", "lost")]
    reason = "NotFitsError: it begins with b'<html>|<a href=\"javascript:x\">`a`|$y$'\n| [b](c) | **d** |"
    content = json.loads(Path(paths[1]).read_text())
    content["rejected"]["reason"] = reason
    Path(paths[1]).write_text(json.dumps(content))
    merge_verifications(paths, str(tmp_path / "all.json"))
    rows = cells_of((tmp_path / "all.md").read_text())
    assert len(rows) == 3
    assert {len(row) for row in rows} == {11}
    assert rows[2][:2] == ["lost", "not compared: " + " ".join(reason.split())]
