"""The About tab's figures: those of the card, in the right column."""

import re

from demo.views import about

HEADS = ("gender", "articleType")


def figures(*accuracies: float, **more) -> dict:
    return {"heads": {h: {"accuracy": x} for h, x in zip(HEADS, accuracies)}, **more}


def test_catalogue_scenes_and_another_catalogue_stand_side_by_side():
    word = {"articleType": {"accuracy": 0.75, "accuracy_interval": [0.5, 0.9], "products": 8}}
    phone = {"heads": {"articleType": {"accuracy": 0.853}}, "doubted": 0.027,
             "words": {"<Pants>": word, "Other": {}}}  # fmt: skip
    scene = {"gender": 0.86, "articleType": 0.815}
    card = {
        "metrics": {"test": figures(0.922, 0.886, doubted=0.022, stress={"scene": scene})},
        "also": [{"name": "phone.zip", "metrics": {"test": phone}}, {"name": "unmeasured"}],
    }
    text = about._side_by_side(card)
    shown = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in text.split("<tr>")]
    assert ["gender", "92.2", "86.0", "–"] in shown
    assert ["articleType", "88.6", "81.5", "85.3"] in shown
    assert ["doubted", "2.2", "–", "2.7"] in shown
    assert ["&lt;Pants&gt;", "75.0 (50.0–90.0)", "8"] in shown
    assert "Other" not in text and "unmeasured" not in text


def test_without_another_catalogue_there_is_no_such_table():
    assert about._side_by_side({"metrics": {"test": figures(0.9, 0.8)}}) == ""
    assert about._side_by_side({}) == ""
