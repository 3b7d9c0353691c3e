"""Charts as PNG, for mail programs, which do not show SVG. Only the function of monthly reports has these libraries."""

from fontpkg_arimo import FAMILY, ROOT
from resvg_py import svg_to_bytes

PNG = "image/png"
PIXELS_PER_UNIT = 2
_FONT = str(ROOT / "files" / "Arimo[wght].ttf")


def render_png(svg: str) -> bytes:
    """Return a chart as a PNG of twice its size, sharp on dense screens, with Arimo as the font of all texts.

    The fonts of the machine are not used, because Lambda has none. Arimo has no letters beside Latin, Greek, Cyrillic
    and Hebrew ones; the alternative text and the tables of a mail have them.
    """
    return svg_to_bytes(
        svg_string=svg,
        skip_system_fonts=True,
        font_files=[_FONT],
        font_family=FAMILY,
        sans_serif_family=FAMILY,
        zoom=PIXELS_PER_UNIT,
    )
