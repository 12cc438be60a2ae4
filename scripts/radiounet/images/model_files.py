"""Names of the files of a model's folder, and of scores."""

MODEL_CARD = "card.yaml"
MODEL_WEIGHTS = "network.weights.h5"
EVALUATION_FILES = ("evaluation.md", "evaluation.png")


def imported_model_files(folder: str) -> list[str]:
    """Files of the folder of a model whose weights were imported."""
    return [f"{folder}/{MODEL_WEIGHTS}", f"{folder}/{MODEL_CARD}"]


def model_files(folder: str) -> list[str]:
    """Files of the folder of a model that was trained and evaluated here."""
    others = ("learning_curve.csv", "metrics.json", *EVALUATION_FILES)
    return [*imported_model_files(folder), *(f"{folder}/{name}" for name in others)]


def score_files(folder: str) -> list[str]:
    """Files of one set of images that models were scored on."""
    return [f"{folder}/{name}" for name in (*EVALUATION_FILES, "images.png", "scores.json")]
