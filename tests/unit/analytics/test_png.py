"""Charts as PNG for mail."""

import re

from tests.support.pictures import count_dark_pixels, read_size
from trimtab.analytics.adapters.png import render_png
from trimtab.charts.svg import WIDTH, Theme, render_document, render_message


def test_a_picture_has_twice_the_size_of_its_chart() -> None:
    picture = render_png(render_message("Value of José's growth", "No day is valued yet.", Theme.LIGHT))
    assert read_size(picture) == (2 * WIDTH, 320)


def test_the_texts_are_visible_without_the_fonts_of_the_machine() -> None:
    chart = render_document("Value of Ägypten Ωmega", "", 40, [], Theme.LIGHT)
    assert count_dark_pixels(render_png(re.sub("<text.*</text>", "", chart))) == 0
    assert count_dark_pixels(render_png(chart)) > 1000
