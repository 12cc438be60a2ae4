"""What is said where PyTorch, an optional extra, is not installed."""

import argparse
import sys

import pytest

from radiounet.running.stage import run_stage


def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("learning.torch_training", "network.architectures.class_unet_torch"):
        monkeypatch.delitem(sys.modules, f"radiounet.{name}", raising=False)


def test_training_names_the_extra(monkeypatch):
    no_torch(monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'radiounet\[torch\]'"):
        import radiounet.learning.torch_training  # noqa: F401


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        (None, "the networks need torch, which is not installed: install radiounet[torch]"),
        ("torch", "KERAS_BACKEND has Keras compute with torch, which is not installed: unset it"),
    ],
)
def test_a_stage_that_needs_it_ends_with_what_to_do(monkeypatch, caplog, backend, told):
    no_torch(monkeypatch)
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)

    def work():
        import radiounet.network.architectures.class_unet_torch  # noqa: F401

    args = argparse.Namespace(reads=(), writes=(), log=None, stage="infer", on_reject="stop")
    monkeypatch.setattr("radiounet.running.stage.configure", lambda _: None)  # pytest has a log of its own
    with pytest.raises(SystemExit) as end:
        run_stage(args, work)
    assert end.value.code == 78
    assert told in caplog.text
