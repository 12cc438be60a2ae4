"""When images were made, by their headers."""

import pytest
from astropy.io import fits

from radiounet.images.dates import image_date, latest_date


@pytest.mark.parametrize(
    ("cards", "date"),
    [
        ({}, ""),
        ({"DATE-OBS": "2019-05-01T10:20:30"}, "2019-05-01T10:20:30.000"),
        ({"DATE-OBS": "2019-05-01T10:20:30Z"}, "2019-05-01T10:20:30.000"),
        ({"DATE-MAP": "2020-01-02", "DATE-OBS": "2019-05-01"}, "2020-01-02T00:00:00.000"),
        ({"DATE-MAP": "", "DATE-OBS": "2019-05-01"}, "2019-05-01T00:00:00.000"),
        ({"DATE-MAP": "yesterday", "DATE-END": "2021-03-04"}, "2021-03-04T00:00:00.000"),
        ({"DATE-MAP": "05/06/98"}, "1998-06-05T00:00:00.000"),
        ({"DATE": 5.0}, ""),
    ],
)
def test_the_first_card_that_holds_a_date(cards, date):
    assert image_date(fits.Header(cards)) == date


def test_latest():
    assert latest_date([]) == latest_date(["", "soon"]) == ""
    assert latest_date(["2019-05-01", "05/06/98", "", "2019-04-30T23:59:59"]) == "2019-05-01T00:00:00.000"
