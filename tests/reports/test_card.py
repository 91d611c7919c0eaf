"""The model card says what must be known of the data."""

from pathlib import Path

import pytest

from edgekd.bundle import Bundle
from edgekd.reports.card import model_card

FOLDER = Path(__file__).parents[2] / "models" / "mri4-mobilenetv2"


@pytest.mark.parametrize("note", ["", "Slices of known patients."])
def test_a_note_of_the_recipe_stands_on_the_card(note):
    manifest = Bundle.open(FOLDER).manifest
    recipe = manifest.recipe | {"data": manifest.recipe["data"] | {"note": note}}
    card = model_card(manifest.model_copy(update={"recipe": recipe}), FOLDER)
    assert card.count("**About the data.** Slices of known patients.") == bool(note)
    assert card.count("About the data") == bool(note)
    assert "\n\n- Input:" in card
    assert "\n\n\n" not in card
