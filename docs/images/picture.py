"""Draw the picture of the front page from a finished demo: ``python docs/images/picture.py demo``."""

import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from matplotlib.patches import Circle
from PIL import Image

MOSAIC = "SIM-A"
ROWS, COLUMNS = slice(20, 690), slice(40, 690)
SNR_LIMITS = (-1.5, 6.0)


def main() -> None:
    """Left the image with the mask and the clusters, right the probability."""
    products = Path(sys.argv[1]) / "results" / "dr2"
    with fits.open(products / "mosaics" / MOSAIC / "image.fits") as image:
        data, wcs = image[0].data[ROWS, COLUMNS], WCS(image[0].header).celestial[ROWS, COLUMNS]
    mask = fits.getdata(products / "masks" / f"{MOSAIC}.fits")[ROWS, COLUMNS] == 1
    probability = fits.getdata(products / "probability" / f"{MOSAIC}.fits")[ROWS, COLUMNS]
    noise = 1.4826 * np.nanmedian(np.abs(data))
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 4.3), subplot_kw={"projection": wcs}, layout="constrained", sharey=True
    )
    low, high = SNR_LIMITS
    seen = axes[0].imshow(data / noise, origin="lower", cmap="gray_r", vmin=low, vmax=high)
    axes[0].contour(mask, [0.5], colors="tab:red", linewidths=1.2)
    found = axes[1].imshow(probability, origin="lower", cmap="viridis", vmin=0, vmax=1)
    arcmin = 60 * proj_plane_pixel_scales(wcs)[0]
    for cluster in Table.read(products / "catalogue" / "clusters.fits"):
        x, y = wcs.world_to_pixel_values(cluster["ra_deg"], cluster["dec_deg"])
        if 0 < x < data.shape[1] and 0 < y < data.shape[0]:
            radius = cluster["r500_arcmin"] / arcmin
            axes[0].add_patch(Circle((x, y), radius, fill=False, color="tab:blue", linestyle="--"))
            axes[1].plot(x, y, "+", color="white", markersize=9)
            axes[1].annotate(
                f"{cluster['p_diffuse']:.2f}", (x, y), (6, 4), textcoords="offset points", color="white"
            )
    for ax in axes:
        ax.set(xlim=(-0.5, data.shape[1] - 0.5), ylim=(-0.5, data.shape[0] - 0.5))
        ax.coords[0].set_axislabel("Right ascension (ICRS)")
        ax.coords[1].set_axislabel("Declination (ICRS)")
    axes[1].coords[1].set_axislabel(" ")
    axes[1].coords[1].set_ticklabel_visible(False)
    figure.colorbar(seen, ax=axes[0], label="brightness / noise", shrink=0.85)
    figure.colorbar(found, ax=axes[1], label="probability of diffuse emission", shrink=0.85)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    # 256 colours take half of the space
    small = Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
    small.save(Path(__file__).with_name("found.png"), optimize=True)


if __name__ == "__main__":
    main()
