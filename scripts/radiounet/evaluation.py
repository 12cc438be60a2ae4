"""What a trained model finds on held-out simulated fields, and its card."""

import csv
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import yaml
from astropy.io import fits
from scipy import ndimage

from radiounet.cards import AsinhNormalisation, Card, Weights
from radiounet.config import TrainOptions
from radiounet.inference import predict_cores
from radiounet.masks import EIGHT_NEIGHBOURS, make_mask
from radiounet.network import lotss_unet
from radiounet.noise import local_rms
from radiounet.products import atomic, sha256_of
from radiounet.simulate import truth_mask
from radiounet.tiling import layout, stitch

logger = logging.getLogger(__name__)

THRESHOLDS = np.round(np.arange(0.1, 0.95, 0.05), 2)
FOUND_FLUX = 0.3
BATCH = 16
PIXEL_ARCSEC = 4.5
BEAM_AREA_PX = 1.1330900354567985 * (20.0 / PIXEL_ARCSEC) ** 2


def predict_plane(model: keras.Model, plane: np.ndarray, options: TrainOptions) -> np.ndarray:
    """Probability of every pixel of a normalised plane, ``[y, x]``, as the workflow computes it."""
    where = layout(plane.shape, options.tile_px, options.core_px, "exact")
    sides = zip(where.padded, plane.shape, strict=True)
    padded = np.pad(plane, [(where.pad_low, total - where.pad_low - side) for total, side in sides])
    origins = where.origins()
    return stitch(np.concatenate([*predict_cores(model, padded, origins, where, BATCH)]), origins, where)


def evaluate(model: keras.Model, paths: Sequence[str], options: TrainOptions) -> dict[str, object]:
    """Measure a model on held-out pairs, at the threshold of best Dice.

    Returns
    -------
    dict
        ``threshold``; pixel ``dice``, ``precision``, ``recall``; ``objects`` (truth
        islands of one beam or more), ``objects_found`` (fraction with at least 30 %
        of their flux in the mask), ``false_islands_per_deg2``, ``area_deg2``.
    """
    planes = [_predict_pair(model, path, options) for path in paths]
    dice = {float(t): _pixel_scores(planes, float(t))["dice"] for t in THRESHOLDS}
    threshold = max(dice, key=dice.get)
    pixels = _pixel_scores(planes, threshold)
    objects = _object_scores(planes, threshold)
    return {"threshold": threshold, **pixels, **objects}


def _predict_pair(model, path, options):
    with fits.open(path) as hdus:
        image, truth, rms = (hdu.data.astype(np.float32) for hdu in hdus[:3])
    plane = AsinhNormalisation(kind="asinh_sigma")(image, local_rms(image))
    probability = predict_plane(model, plane, options)
    probability[np.isnan(image)] = np.nan
    truth[np.isnan(image)] = 0
    logger.info("predicted %s", path)
    return probability, truth, truth_mask(truth, rms, options.truth_sigma)


def _pixel_scores(planes, threshold: float) -> dict[str, float]:
    hit = said = true = 0
    for probability, _, mask in planes:
        found = make_mask(probability, threshold, BEAM_AREA_PX) == 1
        hit += int((found & mask).sum())
        said += int(found.sum())
        true += int(mask.sum())
    return {
        "dice": round(2 * hit / max(said + true, 1), 4),
        "precision": round(hit / max(said, 1), 4),
        "recall": round(hit / max(true, 1), 4),
    }


def _object_scores(planes, threshold: float) -> dict[str, float]:
    objects = found = false = 0
    for probability, truth, mask in planes:
        said = make_mask(probability, threshold, BEAM_AREA_PX) == 1
        labels, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
        index = np.arange(1, count + 1)
        areas = ndimage.sum_labels(mask, labels, index)
        flux = ndimage.sum_labels(truth, labels, index)
        inside = ndimage.sum_labels(truth * said, labels, index)
        large = areas >= BEAM_AREA_PX
        objects += int(large.sum())
        found += int((large & (inside >= FOUND_FLUX * flux)).sum())
        islands, number = ndimage.label(said, EIGHT_NEIGHBOURS)
        false += int((ndimage.sum_labels(mask, islands, np.arange(1, number + 1)) == 0).sum())
    area = sum(np.isfinite(p).sum() for p, _, _ in planes) * (PIXEL_ARCSEC / 3600) ** 2
    return {
        "objects": objects,
        "objects_found": round(found / max(objects, 1), 4),
        "false_islands_per_deg2": round(false / area, 2),
        "area_deg2": round(float(area), 2),
    }


def publish_model(
    pairs: Sequence[str], weights: str, curve: str, options: TrainOptions, name: str, folder: str
) -> None:
    """Evaluate weights and write the model's folder: weights, learning curve and card."""
    model = lotss_unet(options.tile_px, options.widths)
    model.load_weights(weights)
    metrics = evaluate(model, pairs, options)
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    weights_file = "network.weights.h5"
    for source, target in ((weights, out / weights_file), (curve, out / "learning_curve.csv")):
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    with open(curve, newline="") as stream:
        seconds = int(list(csv.DictReader(stream))[-1]["seconds"])
    card = Card(
        name=name,
        architecture="lotss_unet",
        widths=tuple(options.widths),
        tile_px=options.tile_px,
        core_px=options.core_px,
        normalisation=AsinhNormalisation(kind="asinh_sigma"),
        unit="Jy/beam",
        beam_arcsec=20.0,
        pixel_arcsec=PIXEL_ARCSEC,
        threshold=metrics["threshold"],
        training={
            "data": "radiounet.simulate, a simple sky; see SimulateOptions",
            "command": f"make model MODEL={name}",
            "options": options.model_dump(),
            "parameters": model.count_params(),
            "wall_time_s": seconds,
            "backend": f"keras {keras.__version__}, {keras.backend.backend()}",
        },
        metrics={"on": f"{len(pairs)} held-out simulated fields", **metrics},
        weights=Weights(file=weights_file, sha256=sha256_of(out / weights_file)),
        licence="BSD-3-Clause",
        citation="see CITATION.cff of this workflow",
    )
    with atomic(out / "card.yaml") as temporary:
        content = json.loads(card.model_dump_json())
        temporary.write_text(yaml.safe_dump(content, sort_keys=False))
