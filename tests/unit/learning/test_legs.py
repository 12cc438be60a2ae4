import csv
from functools import partial

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from radiounet.errors import ConfigError, ModelError
from radiounet.learning import legs
from radiounet.learning.legs import Leg, Pool, Scoreboard, Supply, batches, class_loss
from radiounet.learning.samples import KNOWN, TARGETS, Sample, make_sample
from radiounet.measuring.scores import precision_summary
from radiounet.network.architectures.class_unet import class_unet
from radiounet.network.architectures.keras_network import named_weights
from radiounet.settings.simulate import SimulateOptions
from radiounet.settings.train import LegOptions

N_PX = 128
WIDTHS = (8, 16)
OPTIONS = LegOptions(
    widths=list(WIDTHS),
    crop_px=64,
    batch=2,
    first_seed=0,
    first=3,
    samples_per_step=0.5,
    pool=4,
    steps=12,
    warmup=3,
    decay=1,
    learning_rate=2e-3,
    precision="float32",
)


def build(side):
    return class_unet(side, WIDTHS)


def sample_of(number):
    rng = np.random.default_rng([number, 77])
    plane = rng.standard_normal((N_PX, N_PX)).astype(np.float16)
    bits = (rng.integers(0, 16, (N_PX, N_PX)) | KNOWN * (rng.random((N_PX, N_PX)) < 0.9)).astype(np.uint8)
    return Sample(plane, bits, rng.integers(0, N_PX, (TARGETS, 2)).astype(np.int16))


class Numbered:
    """A supply whose samples are functions of their number."""

    def __init__(self):
        self.given = []

    def samples(self, first):
        number = first
        while True:
            self.given.append(number)
            yield sample_of(number)
            number += 1


# schedule


def test_rate_rises_stays_and_falls():
    options = LegOptions(learning_rate=0.01, warmup=4, decay=10, steps=100)
    assert [options.rate(step) for step in range(5)] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])
    assert options.rate(50) == options.rate(90) == 0.01
    assert [options.rate(step) for step in (91, 95, 99, 100, 120)] == pytest.approx(
        [0.009, 0.005, 0.001, 0, 0]
    )


def test_rate_of_a_schedule_shorter_than_its_parts():
    options = LegOptions(learning_rate=1.0, warmup=10, decay=10, steps=8)
    assert [options.rate(step) for step in (0, 3, 7)] == pytest.approx([0.1 * 0.8, 0.4 * 0.5, 0.8 * 0.1])


@pytest.mark.parametrize(
    ("per_step", "expected"), [(0.25, [64, 64, 65, 65, 89]), (2.0, [64, 70, 72, 78, 264])]
)
def test_samples_that_have_been_simulated(per_step, expected):
    options = LegOptions(first=64, samples_per_step=per_step)
    assert [options.simulated(step) for step in (0, 3, 4, 7, 100)] == expected


# crops


def cut_by_hand(held, options, step):
    """The same draws, one by one, from the samples in the order of their slots."""
    rng, size = np.random.default_rng([options.seed, 1, step]), options.crop_px
    crops = []
    for _ in range(options.batch):
        sample = held[int(rng.integers(len(held)))]
        if rng.random() >= options.target_fraction:
            y, x = rng.integers(0, N_PX - size + 1, 2)
        else:
            y, x = sample.places[rng.integers(TARGETS)]
            dy, dx = rng.integers(-size // 3, size // 3 + 1, 2)
            y, x = (min(max(int(at + by) - size // 2, 0), N_PX - size) for at, by in ((y, dy), (x, dx)))
        number = int(rng.integers(8))
        planes = [one[y : y + size, x : x + size] for one in (sample.plane, sample.bits)]
        if number >= 4:
            planes = [one.T for one in planes]
        crops.append([np.rot90(one, number % 4) for one in planes])
    return crops


@pytest.mark.parametrize("target_fraction", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_batch_is_cut_by_hand(count, target_fraction):
    options = OPTIONS.model_copy(update={"batch": 6, "target_fraction": target_fraction})
    pool = Pool(4, N_PX)
    held = [None] * min(count, 4)
    for number in range(count):
        pool.put(sample_of(number))
        held[number % 4] = sample_of(number)
    for step in (0, 1, 900):
        planes, bits = pool.batch(options, step)
        assert (planes.shape, planes.dtype) == ((6, 64, 64, 1), np.float16)
        assert (bits.shape, bits.dtype) == ((6, 64, 64), np.uint8)
        for plane, bit, expected in zip(planes, bits, cut_by_hand(held, options, step), strict=True):
            np.testing.assert_array_equal(plane[..., 0], expected[0])
            np.testing.assert_array_equal(bit, expected[1])


def test_turns_are_the_eight_of_a_square():
    plane = np.arange(9).reshape(3, 3)
    turned = {legs._turn(number)(plane).tobytes() for number in range(8)}
    assert len(turned) == 8
    assert all(sorted(np.frombuffer(one, plane.dtype)) == list(range(9)) for one in turned)


def test_crops_centred_near_a_place_hold_it():
    sample = sample_of(1)
    places = np.broadcast_to(np.array([70, 61], np.int16), (TARGETS, 2))
    pool = Pool(1, N_PX)
    mark = np.zeros((N_PX, N_PX), np.uint8)
    mark[70, 61] = 1
    pool.put(Sample(sample.plane, mark, places))
    options = OPTIONS.model_copy(update={"batch": 30, "target_fraction": 1.0})
    at = np.argwhere(pool.batch(options, 1)[1])
    assert len(at) == 30
    # the middle and a third of the side away
    assert 10 <= at[:, 1:].min() < 16
    assert 48 < at[:, 1:].max() <= 54


@pytest.mark.parametrize("pool", [3, 4, 50])
@pytest.mark.parametrize("middle", [1, 6, 11])
def test_batches_from_the_middle_are_those_from_the_beginning(middle, pool):
    options = OPTIONS.model_copy(update={"pool": pool})
    whole = list(batches(Numbered(), options, N_PX, 0, 12))
    supply = Numbered()
    rest = list(batches(supply, options, N_PX, middle, 12))
    assert len(whole) == 12
    assert len(rest) == 12 - middle
    for one, other in zip(whole[middle:], rest, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    # no more is simulated again than what the pool holds
    assert supply.given == list(range(max(0, options.simulated(middle) - pool), options.simulated(11)))


def test_batches_need_no_sample_before_its_time():
    supply = Numbered()
    stream = batches(supply, OPTIONS, N_PX, 0, 1000)
    next(stream)
    stream.close()
    assert max(supply.given) < OPTIONS.simulated(legs.AHEAD + 1)


def test_supply_gives_samples_in_order_and_anew():
    options = SimulateOptions(n_px=64, clusters_per_deg2=(50.0, 60.0))
    supply = Supply(partial(make_sample, options), 1)
    try:
        for first in (2, 5):
            stream = supply.samples(first)
            for number in (first, first + 1):
                np.testing.assert_array_equal(next(stream).plane, make_sample(options, number).plane)
    finally:
        supply.close()


# loss


def loss_by_hand(options, bits, logits):
    known = (bits & KNOWN > 0).astype(float)
    total, chance = 0.0, 1 / (1 + np.exp(-logits.astype(float)))
    for number in range(logits.shape[-1]):
        label = (bits >> number & 1).astype(float)
        entropy = -(label * np.log(chance[..., number]) + (1 - label) * np.log(1 - chance[..., number]))
        total += (known * entropy).sum() / (known.sum() + 1) * (options.other_classes if number else 1)
    return total


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("changes", [{}, {"other_classes": 0.0}, {"other_classes": 2.0}])
def test_loss_by_hand(classes, changes):
    options = OPTIONS.model_copy(update=changes)
    rng = np.random.default_rng(3)
    bits = np.stack([sample_of(number).bits[:40, :50] for number in range(2)])
    logits = rng.normal(0, 3, (2, 40, 50, classes)).astype(np.float32)
    expected = loss_by_hand(options, bits, logits)
    assert float(class_loss(options)(bits, logits)) == pytest.approx(expected, rel=1e-5)


def test_loss_leaves_blank_pixels_out():
    loss = class_loss(OPTIONS)
    bits = np.full((1, 32, 32), KNOWN | 1, np.uint8)
    bits[:, :16] = 0
    logits = np.full((1, 32, 32, 4), -1.0, np.float32)
    before = float(loss(bits, logits))
    logits[:, :16] = 60.0
    assert float(loss(bits, logits)) == pytest.approx(before)
    assert float(loss(np.zeros_like(bits), logits)) == 0


# legs


@pytest.fixture
def often(monkeypatch):
    """The weights are averaged every four steps."""
    monkeypatch.setattr(legs, "LOG_STEPS", 4)


def trained(folder, steps, options=OPTIONS, **more):
    leg = Leg(build, options.model_copy(update={"steps": steps}), folder, **more)
    leg.run(Numbered(), N_PX, minutes=10)
    return leg


def test_two_legs_are_one(tmp_path, often):
    whole = trained(tmp_path / "whole", 12)
    # three samples at first and one in two steps: at step 6 the pool of four has dropped two
    assert OPTIONS.simulated(6) - OPTIONS.pool == 2
    first = trained(tmp_path / "parts", 6)
    assert first.step == 6
    second = Leg(build, OPTIONS, tmp_path / "parts")
    assert second.step == 6
    for one, other in zip(first._variables(), second._variables(), strict=True):
        np.testing.assert_array_equal(one, other)
    second.run(Numbered(), N_PX, minutes=10)
    assert second.step == whole.step == 12
    for one, other in zip(whole.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(whole.average, second.average, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first.model.get_weights()[0], second.model.get_weights()[0])
    # the last leg has seen the end of its schedule: nothing is left to do
    done = trained(tmp_path / "parts", 12)
    assert [row["step"] for row in done.rows] == [6, 12]
    np.testing.assert_array_equal(done.model.get_weights()[0], whole.model.get_weights()[0])


def test_average_is_exponential(tmp_path, often):
    leg = Leg(build, OPTIONS, tmp_path)
    mean = [np.array(one) for one in leg.model.get_weights()]
    stream = batches(Numbered(), OPTIONS, N_PX, 0, 12)
    for step, (planes, bits) in enumerate(stream, 1):
        leg._learn(planes, bits)
        if step % 4 == 0:
            share = 1 - np.exp(-4 / max(step / 5, 1))
            for one, new in zip(mean, leg.model.get_weights(), strict=True):
                one += np.float32(share) * (new - one)
    for one, other in zip(mean, leg.average, strict=True):
        np.testing.assert_array_equal(one, other)


def test_curve_and_loss_are_those_of_the_steps(tmp_path):
    leg = trained(tmp_path, 2)
    mirror = Leg(build, OPTIONS.model_copy(update={"steps": 2}), tmp_path / "again")
    losses = []
    for planes, bits in batches(Numbered(), OPTIONS, N_PX, 0, 2):
        logits = mirror.model(planes.astype(np.float32), training=True)
        losses.append(loss_by_hand(OPTIONS, bits, keras.ops.convert_to_numpy(logits)))
        mirror._learn(planes, bits)
    (row,) = csv.DictReader((tmp_path / "curve.csv").read_text().splitlines())
    assert float(row["loss"]) == pytest.approx(np.mean(losses), abs=1e-4)
    assert (row["step"], row["samples"]) == ("2", "4")
    assert leg.rows[0]["step"] == 2


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leg")
    return folder, trained(folder, 2)


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"crop_px": 32}, {"batch": 3}, {"first": 4}, {"samples_per_step": 1.0}, {"pool": 5}],
    ids=str,
)
def test_a_checkpoint_of_other_options_is_refused(saved, other):
    folder, _ = saved
    before = (folder / "checkpoint.npz").read_bytes()
    with pytest.raises(ConfigError, match=r"other options: .*give another folder"):
        Leg(build, OPTIONS.model_copy(update=other), folder)
    assert (folder / "checkpoint.npz").read_bytes() == before


@pytest.mark.parametrize(
    "other", [{"steps": 50}, {"learning_rate": 0.1}, {"decay": 5}, {"warmup": 9}], ids=str
)
def test_the_schedule_may_change_from_leg_to_leg(saved, other):
    assert Leg(build, OPTIONS.model_copy(update=other), saved[0]).step == 2


def test_averaged_weights_go_into_the_network_by_their_names(saved, tmp_path):
    folder, leg = saved
    with np.load(folder / "weights.npz") as store:
        assert {one.dtype for one in store.values()} == {np.dtype("f2")}
    model = build(128)
    legs.set_named_weights(model, legs.read_named_weights(folder / "weights.npz"))
    names = named_weights(model)
    assert len(names) == len(leg.average)
    for one, mean in zip(model.get_weights(), leg.average, strict=True):
        np.testing.assert_array_equal(one, mean.astype(np.float16).astype(np.float32))
    # and a new training begins with them
    begun = Leg(build, OPTIONS, tmp_path, initial=folder / "weights.npz")
    for one, other in zip(begun.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(begun.average, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_to_begin_with_must_be_there(tmp_path):
    with pytest.raises(ModelError, match="there are no weights"):
        Leg(build, OPTIONS, tmp_path, initial=tmp_path / "none.npz")


def test_weights_to_begin_with_must_be_of_the_network(saved, tmp_path):
    with pytest.raises(ModelError):
        Leg(lambda side: class_unet(side, (8, 8)), OPTIONS, tmp_path, initial=saved[0] / "weights.npz")


def test_a_checkpoint_goes_before_weights_to_begin_with(saved):
    folder, leg = saved
    again = Leg(build, OPTIONS, folder, initial=folder / "weights.npz")
    for one, other in zip(again.model.get_weights(), leg.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_that_began_with_weights_is_averaged_so_in_each_leg(saved, tmp_path):
    """Whether or not a later leg is told of them."""
    weights = saved[0] / "weights.npz"
    averages = []
    for name, initial in (("told", weights), ("untold", None)):
        Leg(build, OPTIONS, tmp_path / name, initial=weights).save()
        leg = Leg(build, OPTIONS, tmp_path / name, initial=initial)
        leg.step = 1
        leg.model.set_weights([one + 1 for one in leg.model.get_weights()])
        leg._fold(1)
        averages.append(leg.average)
    for one, other in zip(*averages, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("made_with", ["this code and sky", "another"])
def test_a_leg_of_other_code_or_another_sky_is_told(tmp_path, caplog, made_with):
    Leg(build, OPTIONS, tmp_path, made_with="this code and sky").save()
    Leg(build, OPTIONS, tmp_path, made_with=made_with)
    assert ("was begun with other code or on another sky" in caplog.text) is (made_with == "another")


class Broken(Numbered):
    """Samples of infinite brightness."""

    def samples(self, first):
        for sample in super().samples(first):
            yield Sample(np.full_like(sample.plane, np.inf), sample.bits, sample.places)


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_checkpoint(tmp_path):
    trained(tmp_path, 2)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    leg = Leg(build, OPTIONS.model_copy(update={"steps": 4}), tmp_path)
    with pytest.raises(ModelError, match=r"the loss is nan at step 4: give a smaller learning rate"):
        leg.run(Broken(), N_PX, minutes=10)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_precision_is_that_of_the_leg_alone(tmp_path, precision):
    before = keras.config.dtype_policy().name
    leg = Leg(build, OPTIONS.model_copy(update={"precision": precision}), tmp_path)
    assert leg.model.get_layer("stem_conv").dtype_policy.name == precision
    assert leg.model.output.dtype == "float32"
    assert keras.config.dtype_policy().name == before


# scores


def test_precision_summary_by_hand():
    # scores rise; from the top: 3 true, then 2 true and 2 false, then 1 true and 6 false
    counts = np.array([[6, 2, 0], [1, 2, 3]])
    summary = precision_summary(counts)
    assert summary["dice"] == pytest.approx(max(2 * 3 / (3 + 6), 2 * 5 / (7 + 6), 2 * 6 / (14 + 6)))
    assert summary["ap"] == pytest.approx(3 / 6 * 1 + 2 / 6 * 5 / 7 + 1 / 6 * 6 / 14)


@pytest.mark.parametrize(
    ("counts", "dice", "ap"),
    [
        ([[0, 0, 5], [0, 0, 0]], 0, 0),  # nothing to find
        ([[0, 0, 0], [0, 0, 0]], 0, 0),
        ([[9, 0, 0], [0, 0, 4]], 1, 1),  # all found
        ([[0, 0, 6], [2, 0, 0]], 2 * 2 / (8 + 2), 2 / 8),  # the wrong way round
        ([[3, 0], [1, 0]], 2 * 1 / (4 + 1), 1 / 4),  # no information
    ],
)
def test_precision_summary_at_its_ends(counts, dice, ap):
    summary = precision_summary(np.array(counts))
    assert (summary["dice"], summary["ap"]) == pytest.approx((dice, ap))


def test_scoreboard_counts_known_pixels_by_logit():
    skies = {"near": [sample_of(1), sample_of(2), sample_of(3)], "far": [sample_of(4)]}
    board = Scoreboard(build, skies, 2)
    weights = build(N_PX).get_weights()
    scores = board.measure(weights)
    assert set(scores) == {"near dice", "near ap", "far dice", "far ap"}
    model = build(N_PX)
    model.set_weights(weights)
    for name, samples in skies.items():
        planes = np.stack([one.plane for one in samples])[..., None].astype(np.float32)
        logits = model.predict_on_batch(planes)[..., 0]
        bits = np.stack([one.bits for one in samples])
        known = bits & KNOWN > 0
        score, truth = logits[known], bits[known] & 1
        order = np.argsort(-score)
        hits = np.cumsum(truth[order])
        rank = np.arange(1, hits.size + 1)
        assert scores[f"{name} dice"] == pytest.approx((2 * hits / (rank + truth.sum())).max(), abs=0.01)
        average = (hits / rank * truth[order]).sum() / truth.sum()
        assert scores[f"{name} ap"] == pytest.approx(average, abs=0.01)


def test_held_out_samples_are_kept_and_not_those_to_train_on(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(legs, "cached_sample", lambda folder, sky, number: made.append((sky.seed, number)))
    skies = legs.held_out(tmp_path, 2)
    assert list(skies) == list(legs.SKIES)
    assert [len(one) for one in skies.values()] == [2, 2, 2]
    assert len({seed for seed, _ in made}) == 3
    assert {number for _, number in made} == {legs.HELD_OUT, legs.HELD_OUT + 1}


@pytest.mark.parametrize(
    ("first_seed", "allowed"),
    [(0, True), (899_980, True), (899_981, False), (950_000, False), (999_999, False), (1_000_000, True)],
)
def test_no_leg_reaches_samples_held_out(first_seed, allowed):
    # 20 samples: ten before the first step, and ten after it
    options = {"first_seed": first_seed, "first": 10, "samples_per_step": 0.5, "steps": 20}
    if allowed:
        assert LegOptions(**options).simulated(20) == 20
        return
    with pytest.raises(
        ValidationError, match=rf"seeds {first_seed} to {first_seed + 19} reach those that no"
    ):
        LegOptions(**options)


def test_a_leg_without_an_end_in_sight_is_checked_as_a_whole():
    assert LegOptions(first_seed=799_952).simulated(100_000) == 100_048
    with pytest.raises(ValidationError, match="no network is trained on"):
        LegOptions(first_seed=799_953)


@pytest.mark.parametrize(("crop_px", "is_small"), [(12, True), (16, False)])
def test_small_crops_are_named(tmp_path, caplog, crop_px, is_small):
    Leg(build, OPTIONS.model_copy(update={"crop_px": crop_px}), tmp_path)
    said = "crops of 12 px have 3 px a side at the coarsest level"
    assert (said in caplog.text) == is_small
    assert ("the network may fail on whole images" in caplog.text) == is_small
