"""The model card says what must be known of the data."""

from pathlib import Path

import pytest

from edgekd.bundle import Bundle, HeatmapRecord
from edgekd.reports.card import model_card

FOLDER = Path(__file__).parents[2] / "models" / "mri4p-mobilenetv2"


@pytest.mark.parametrize("note", ["", "Slices of known patients."])
def test_a_note_of_the_recipe_stands_on_the_card(note):
    manifest = Bundle.open(FOLDER).manifest
    recipe = manifest.recipe | {"data": manifest.recipe["data"] | {"note": note}}
    card = model_card(manifest.model_copy(update={"recipe": recipe}), FOLDER)
    assert card.count("**About the data.** Slices of known patients.") == bool(note)
    assert card.count("About the data") == bool(note)
    assert "\n\n- Input:" in card
    assert "\n\n\n" not in card


def test_a_files_own_heat_map_stands_on_the_card():
    manifest = Bundle.open(FOLDER).manifest
    before = model_card(manifest, FOLDER)
    assert "heat map" not in before
    record = manifest.artefacts["tflite-int8"]
    found = HeatmapRecord(
        is_in_file=True,
        other_files=record.files,
        largest_difference=0.1,
        rank_correlation=0.98765,
        rank_correlation_low=0.9,
        rank_images=256,
    )
    changed = {"tflite-int8": record.model_copy(update={"heatmap": found})}
    card = model_card(manifest.model_copy(update={"artefacts": manifest.artefacts | changed}), FOLDER)
    line = (
        "- `tflite-int8`: with its heat map; rank correlation with the float network's: 0.988 on average, 0.900 at the"
    )
    assert f"\n\n{line} 5th percentile of 256 images.\n\n" in card
    assert "\n\n\n" not in card
    absent = {"tflite-int8": record.model_copy(update={"heatmap": found.model_copy(update={"is_in_file": False})})}
    assert model_card(manifest.model_copy(update={"artefacts": manifest.artefacts | absent}), FOLDER) == before
