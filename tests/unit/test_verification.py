import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from radiounet.config import DownloadOptions, VerifyOptions
from radiounet.errors import ConfigError, NotInArchiveError, ShapeMismatchError
from radiounet.image import grid_wcs
from radiounet.outputs import claim_outputs
from radiounet.products import Products, Rejection, write_ecsv, write_rejected
from radiounet.verification import Agreement, agreement, merge_verifications, verify_mosaic

NAN = np.nan
WCS = grid_wcs(150.0, 35.0, 100, 4.5)
ANSWERS = DownloadOptions(attempts=1)


def test_agreement_by_hand():
    ours = np.array([[1, 1, 0, 255, 1, 255]], np.uint8)
    theirs = np.array([[1, 0, 0, 1, NAN, 0]])
    found = agreement((ours, theirs), (np.array([[0.5, 0.2, NAN]]), np.array([[0.5, 0.4, 0.1]])))
    assert found.pixels == 2
    assert (found.only_ours, found.only_reference) == (1, 1)
    assert (found.differing, found.iou, found.dice) == (1, 0.5, pytest.approx(2 / 3))
    assert found.largest_difference == pytest.approx(0.2)


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


def write_products(products, name, probability):
    header = WCS.to_header()
    mask = (probability >= 0.5).astype(np.uint8)
    mask[np.isnan(probability)] = 255
    for path, data in ((products.mask(name), mask), (products.probability(name), probability)):
        fits.HDUList([fits.PrimaryHDU(data, header)]).writeto(path, overwrite=True)


@pytest.fixture
def survey(tmp_path):
    """Own and reference products of one mosaic: a disc around the cluster, blank below row 10."""
    ours, reference = (Products(str(tmp_path / name)) for name in ("ours", "reference"))
    y, x = np.indices((100, 100))
    probability = np.where(np.hypot(y - 49, x - 49) < 12, 0.9, 0.1).astype(np.float32)
    probability[:10] = np.nan
    for products in (ours, reference):
        for path in (products.mask("m"), products.probability("m"), products.clusters("m")):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write_products(products, "m", probability)
    table = Table({"name": ["near", "far"], "ra": [150.0, 150.03], "dec": [35.0, 35.03]})
    table["r500_arcmin"] = [1.0, 0.5]
    write_ecsv(ours.clusters("m"), table)
    return ours, reference, probability


def verify(survey, tmp_path, **changes):
    ours, reference, _ = survey
    options = VerifyOptions(
        masks=f"file://{reference.root}/masks/{{mosaic}}.fits",
        probabilities=f"{reference.root}/probability/{{mosaic}}.fits",
        **changes,
    )
    found = verify_mosaic("m", ours, options, ANSWERS, str(tmp_path / "out" / "m.json"))
    assert json.loads((tmp_path / "out" / "m.json").read_text()) == found
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["m.json"]
    return found


def test_the_same_bytes_are_identical(survey, tmp_path):
    found = verify(survey, tmp_path)
    assert found["verdict"] == "identical"
    assert found["identical"] == {"mask": True, "probability": True}
    assert found["mosaic"]["pixels"] == 9000
    assert found["clusters"]["near"]["iou"] == 1
    assert found["clusters"]["far"]["iou"] is None


def test_within_what_is_allowed_they_are_equal(survey, tmp_path):
    _, reference, probability = survey
    write_products(reference, "m", probability + np.float32(5e-5))
    found = verify(survey, tmp_path)
    assert found["verdict"] == "equal"
    assert found["mosaic"]["largest_difference"] == pytest.approx(5e-5, rel=0.01)
    assert found["identical"] == {"mask": True, "probability": False}
    assert verify(survey, tmp_path, max_difference=1e-5)["verdict"] == "different"


def test_a_mosaic_that_lost_its_data_is_no_equal(survey, tmp_path):
    ours, _, probability = survey
    lost = probability.copy()
    lost[50:] = np.nan
    write_products(ours, "m", lost)
    found = verify(survey, tmp_path)
    assert found["verdict"] == "different"
    assert (found["mosaic"]["only_ours"], found["mosaic"]["only_reference"]) == (0, 5000)
    write_products(ours, "m", np.full_like(lost, np.nan))
    assert verify(survey, tmp_path)["verdict"] == "different"


def test_the_border_that_the_published_code_leaves_zero_counts_for_nothing(survey, tmp_path):
    ours, reference, probability = survey
    zeros, undefined = probability.copy(), probability.copy()
    zeros[:, :8], undefined[:, :8] = 0, np.nan
    write_products(ours, "m", undefined)
    write_products(reference, "m", zeros)
    found = verify(survey, tmp_path)
    assert found["verdict"] == "equal"
    assert found["mosaic"]["pixels"] == 90 * 92


def test_a_template_must_be_one(survey, tmp_path):
    ours, _, _ = survey
    with pytest.raises(ConfigError, match="where the references are"):
        verify_mosaic("m", ours, VerifyOptions(), ANSWERS, str(tmp_path / "m.json"))
    with pytest.raises(ConfigError, match="unknown 'field'"):
        verify_mosaic(
            "m", ours, VerifyOptions(masks="/d/{mosaic}/{field}"), ANSWERS, str(tmp_path / "m.json")
        )


def test_one_cluster_that_differs_is_a_difference(survey, tmp_path):
    """A few pixels of a mosaic, but half of what lies inside a cluster."""
    _, reference, probability = survey
    changed = probability.copy()
    changed[:, 49:] = np.where(changed[:, 49:] > 0.5, 0.1, changed[:, 49:])
    write_products(reference, "m", changed)
    found = verify(survey, tmp_path, min_iou=0.3, max_difference=1.0)
    assert found["verdict"] == "equal"
    assert found["clusters"]["near"]["iou"] == pytest.approx(0.5, abs=0.05)
    assert verify(survey, tmp_path, min_iou=0.7, max_difference=1.0)["verdict"] == "different"


def test_references_that_can_not_be_had_or_compared(survey, tmp_path):
    ours, reference, _ = survey
    options = VerifyOptions(masks=f"{tmp_path}/absent/{{mosaic}}.fits")
    with pytest.raises(NotInArchiveError):
        verify_mosaic("m", ours, options, ANSWERS, str(tmp_path / "out" / "m.json"))
    fits.PrimaryHDU(np.zeros((50, 50), np.uint8), WCS.to_header()).writeto(
        reference.mask("m"), overwrite=True
    )
    with pytest.raises(ShapeMismatchError, match="mask of m and its reference"):
        verify(survey, tmp_path)
    assert not any(path.suffix == ".fits" for path in (tmp_path / "out").iterdir())


def test_one_verdict_of_all(survey, tmp_path):
    verify(survey, tmp_path)
    write_rejected(tmp_path / "lost.json", Rejection("lost", "verify", "url", "NotInArchiveError: 404"))
    same = str(tmp_path / "out" / "m.json")
    assert merge_verifications([same, same], str(tmp_path / "all.json"))["verdict"] == "identical"
    found = merge_verifications([same, str(tmp_path / "lost.json")], str(tmp_path / "all.json"))
    assert found["verdict"] == "different"
    assert found["counts"] == {"identical": 1, "equal": 0, "different": 0, "not compared": 1}
    claim_outputs([same, tmp_path / "all.json", tmp_path / "all.md"])  # they are known again
    page = (tmp_path / "all.md").read_text()
    assert "| m | identical | 1 | 1 | 0 | 0 | 0 | 0 | 1 |" in page
    assert "| lost | not compared: NotInArchiveError: 404 |" in page
