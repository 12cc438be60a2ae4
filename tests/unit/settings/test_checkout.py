"""Where models lie that are given by name."""

from pathlib import Path

from radiounet.network.model_cards import model_folder
from radiounet.settings.checkout import models_folder

ROOT = Path(__file__).parents[3]


def test_models_of_a_checkout(monkeypatch):
    monkeypatch.delenv("RADIOUNET_MODELS", raising=False)
    assert models_folder() == ROOT / "resources" / "models"
    assert (models_folder() / "lotss-unet" / "card.yaml").is_file()


def test_models_of_the_user_where_there_is_no_checkout(monkeypatch, tmp_path):
    monkeypatch.delenv("RADIOUNET_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("radiounet.settings.checkout.CHECKOUT", tmp_path)
    assert models_folder() == tmp_path / "data" / "radiounet" / "models"


def test_a_variable_names_another_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("RADIOUNET_MODELS", str(tmp_path))
    assert models_folder() == tmp_path


def test_a_model_is_a_name_or_a_folder(monkeypatch, tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.setattr("radiounet.network.model_cards.MODELS", tmp_path / "models")
    assert model_folder("mine") == tmp_path / "models" / "mine"
    assert model_folder(str(tmp_path / "other")) == tmp_path / "other"
