"""SVG primitives: lines, boxes, paths and texts, and the document around them with light and dark colours.

Positions are floats in pixels, written with at most two decimals, so that equal data make equal documents everywhere.
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from html import escape

from trimtab.charts.text import clean, fit_text

WIDTH = 600
MARGIN = 16
SIZE, SMALL, TITLE_SIZE = 13, 12, 17
MAX_BYTES = 60_000

_FONT = "Helvetica,Arial,'Liberation Sans',sans-serif"

# Neighbouring colours stay distinguishable under simulated protanopia, deuteranopia and tritanopia (more than 15 in
# OKLab x 100). The legend has the same order and contains every number.
SERIES = (
    *(("#2166ac", "#4a90d9"), ("#e08bbd", "#f2b3d5"), ("#882255", "#b8517f"), ("#6ec1ee", "#9bd8fb")),
    *(("#e69f00", "#f0b429"), ("#7f4f24", "#9c6a3e"), ("#35a89a", "#55c4b2"), ("#c9bc2f", "#e3da66")),
    *(("#117a65", "#238a70"), ("#a8d08d", "#c9e6a5"), ("#d55e00", "#ee7a30"), ("#5b3a9c", "#a68df0")),
)
_COLOURS: dict[str, tuple[str, str, str]] = {  # class: property, light, dark
    "page": ("fill", "#ffffff", "#10151b"),
    "ink": ("fill", "#1b1f24", "#e6edf3"),
    "muted": ("fill", "#59636e", "#9aa7b4"),
    "grid": ("stroke", "#e4e8ec", "#262e37"),
    "axis": ("stroke", "#8b949e", "#5b6672"),
    "gap": ("stroke", "#ffffff", "#10151b"),
    "line": ("stroke", "#2166ac", "#58a6ff"),
    "area": ("fill", "#2166ac", "#58a6ff"),
    "dot": ("fill", "#2166ac", "#58a6ff"),
    "benchmark": ("stroke", "#8a6d00", "#e3b341"),
    "loss": ("fill", "#d1242f", "#ff7b72"),
    "loss-line": ("stroke", "#c21f2a", "#ff8f87"),
    "band": ("fill", "#dde5ee", "#2b3642"),
    "inside": ("fill", "#2f7fc4", "#4493d9"),
    "outside": ("fill", "#d55e00", "#f0883e"),
    "alarm": ("fill", "#a84300", "#f0a060"),
    "target": ("stroke", "#1b1f24", "#f0f6fc"),
}
_FILLS: dict[str, tuple[str, str]] = {  # fill colours of donut slices: light, dark
    "others": ("#8b95a0", "#76828e"),
    "unknown": ("#4a535d", "#b4bfca"),
    "cash": ("#c9d1d9", "#3d4854"),
    **{f"s{place}": pair for place, pair in enumerate(SERIES)},
}


def _ink_on(fill: str) -> str:
    """Return white or near-black, whichever has more contrast with the fill (relative luminance of WCAG 2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(fill[place : place + 2], 16) / 255 for place in (1, 3, 5))
    )
    return "#ffffff" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.19 else "#10151b"


_COLOURS |= {name: ("fill", *pair) for name, pair in _FILLS.items()}
_COLOURS |= {f"on-{name}": ("fill", _ink_on(light), _ink_on(dark)) for name, (light, dark) in _FILLS.items()}


class Theme(StrEnum):
    """The background that a chart is drawn for; AUTO follows the reader's setting."""

    LIGHT = "light"
    DARK = "dark"
    AUTO = "auto"


def px(position: float) -> str:
    """Return a position in pixels with at most two decimals."""
    written = f"{position:.2f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def draw_text(
    x: float, y: float, text: str, style: str = "ink", *, size: float = SIZE, anchor: str = "start", bold: bool = False
) -> str:
    """Return a line of text; `y` is the position of the baseline."""
    weight = ' font-weight="700"' if bold else ""
    end = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text class="{style}" x="{px(x)}" y="{px(y)}" font-size="{px(size)}"{end}{weight}>{escape(text)}</text>'


def draw_box(x: float, y: float, wide: float, high: float, style: str, *, radius: float = 0, hint: str = "") -> str:
    """Return a rectangle; `hint` is the tooltip."""
    corner = f' rx="{px(radius)}"' if radius else ""
    shape = f'<rect class="{style}" x="{px(x)}" y="{px(y)}" width="{px(wide)}" height="{px(high)}"{corner}'
    return f"{shape}>{_hint(hint)}</rect>" if hint else f"{shape}/>"


def draw_line(x1: float, y1: float, x2: float, y2: float, style: str, *, thick: float = 1, dash: str = "") -> str:
    """Return a straight line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{px(x1)}" y1="{px(y1)}" x2="{px(x2)}" y2="{px(y2)}"'
    return f'<line class="{style}" {ends} stroke-width="{px(thick)}"{dashed}/>'


def draw_path(d: str, style: str, *, more: str = "", hint: str = "") -> str:
    """Return a path; `more` holds further attributes and must not contain user input."""
    opening = f'<path class="{style}" d="{d}"{more}'
    return f"{opening}>{_hint(hint)}</path>" if hint else f"{opening}/>"


def render_document(title: str, description: str, height: float, parts: Sequence[str], theme: Theme) -> str:
    """Return the whole chart: well-formed XML for any text, with a background, readable without colours.

    Ids are prefixed with a digest of the content, so that one page can contain several charts.
    """
    heading = draw_text(
        MARGIN, 32, fit_text(clean(title), WIDTH - 2 * MARGIN, TITLE_SIZE, True), size=TITLE_SIZE, bold=True
    )
    body = heading + "".join(parts)
    content = f"{theme}|{title}|{description}|{body}"
    name = "p" + hashlib.sha256(content.encode(errors="replace")).hexdigest()[:10]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{WIDTH}" height="{px(height)}"'
        f' viewBox="0 0 {WIDTH} {px(height)}" role="img" aria-labelledby="{name}-t {name}-d"'
        f' font-family="{_FONT}"><title id="{name}-t">{escape(clean(title))}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc><style>{_style(name, body, theme)}</style>'
        f"{draw_box(0, 0, WIDTH, height, 'page')}{body}</svg>\n"
    )


def render_message(title: str, reason: str, theme: Theme) -> str:
    """Return a chart without data: the reason as text."""
    return render_document(
        title, reason, 160, [draw_text(WIDTH / 2, 100, reason, "muted", size=15, anchor="middle")], theme
    )


def _style(name: str, body: str, theme: Theme) -> str:
    used = {key: colour for key, colour in _COLOURS.items() if key == "page" or f'class="{key}"' in body}
    light = "".join(f"#{name} .{key}{{{what}:{colour}}}" for key, (what, colour, _) in used.items())
    dark = "".join(f"#{name} .{key}{{{what}:{colour}}}" for key, (what, _, colour) in used.items())
    if theme is Theme.LIGHT:
        return light
    return dark if theme is Theme.DARK else f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _hint(text: str) -> str:
    return f"<title>{escape(text)}</title>"
