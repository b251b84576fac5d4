"""A sheet of paper: words, tables and panels on A4."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path as File

from fpdf import FPDF, FontFace, XPos, YPos
from fpdf.enums import TableBordersLayout

from workers.drawing import HOLLOW, STYLES, WIDTH, Panel, Path, swatch
from workers.pictures import Figure

FONTS = File(__file__).parent / "fonts"
INK, FAINT, LINE = (27, 31, 36), (85, 96, 107), (216, 221, 227)
TONES = {"pass": (0, 105, 78), "fail": (181, 65, 0), "inconclusive": (92, 74, 138)}
MARGIN, GAP = 18.0, 6.0
"""Millimetres."""
LETTERS = 12.5
"""Height of words in a panel, in its own units."""
LARGEST = 7.5
"""Points that they have at most, in a panel that is drawn larger."""

Row = Sequence[str]


class Paper(FPDF):
    """A4 upright, with a running foot."""

    def __init__(self, title: str, moment: str) -> None:
        super().__init__(format="A4")
        self.foot = title
        self.add_font("body", "", FONTS / "DejaVuSans.ttf")
        self.add_font("body", "B", FONTS / "DejaVuSans-Bold.ttf")
        self.set_title(title)
        self.set_creation_date(datetime.fromisoformat(moment))
        self.set_lang("en")
        self.set_margins(MARGIN, 16)
        self.c_margin = 0  # words begin where lines and panels do
        self.set_auto_page_break(auto=True, margin=18)
        self.add_page()

    def footer(self) -> None:
        """What it is, and which page of how many."""
        self.set_y(-12)
        self.pen(7.5, FAINT)
        self.cell(0, 4, f"{self.foot} · page {self.page_no()} of {{nb}}", align="C")

    def pen(self, size: float, ink: tuple[int, int, int] = INK, style: str = "") -> None:
        """Choose font and colour."""
        self.set_font("body", style, size)
        self.set_text_color(*ink)

    def say(
        self, text: str, size: float = 9, ink: tuple[int, int, int] = INK, style: str = ""
    ) -> None:
        """A paragraph across the page."""
        self.pen(size, ink, style)
        self.multi_cell(0, size * 0.5, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def title_of(self, text: str, needed: float = 30.0) -> None:
        """The title of a section, on the same page as what follows."""
        self.ln(5)
        if self.will_page_break(needed):
            self.add_page()
        self.say(text, 12.5, style="B")
        self.ln(1)

    def rows(self, heads: Row, rows: Sequence[Row], widths: Sequence[int], tones: Row = ()) -> None:
        """A table; numbers stand to the right, and `tones` colours the last column by verdict."""
        self.pen(7.8)
        self.set_draw_color(*LINE)
        self.set_fill_color(255)
        sides = ["LEFT", *["RIGHT"] * (len(heads) - 2), "LEFT"]
        with self.table(
            col_widths=widths,
            text_align=sides,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=FontFace(emphasis="BOLD", color=FAINT),
            line_height=3.9,
            padding=(1.1, 1.8),
        ) as table:
            table.row(heads)
            for place, cells in enumerate(rows):
                row = table.row()
                for cell in cells[:-1]:
                    row.cell(cell)
                tone = TONES[tones[place]] if tones else INK
                row.cell(cells[-1], style=FontFace(color=tone))

    # ---- pictures ----------------------------------------------------------------------------

    def figure(self, figure: Figure) -> None:
        """Title, how to read it, legend, and the panels, two or three in a row."""
        across = 3 if len(figure.panels) == 3 and figure.panels[0].width <= WIDTH else 2
        wide = (self.epw - GAP * (across - 1)) / across
        heights = [wide * panel.height / panel.width for panel in figure.panels]
        self.title_of(figure.title, 26 + max(heights[:across]))
        if figure.illustrative:
            self.say("For illustration; no evidence.", 7.8, FAINT)
        self.say(figure.reading, 7.8, FAINT)
        self._legend(figure.legend)
        for first in range(0, len(figure.panels), across):
            row = figure.panels[first : first + across]
            tall = max(heights[first : first + across]) + 5
            if self.will_page_break(tall):
                self.add_page()
            top = self.get_y()
            for place, panel in enumerate(row):
                left = self.l_margin + place * (wide + GAP)
                self.pen(7.8, INK, "B")
                self.text(left, top + 3, panel.title)
                self.panel(panel, left, top + 4.5, wide / panel.width)
            self.set_xy(self.l_margin, top + tall)

    def _legend(self, legend: Mapping[str, str]) -> None:
        self.ln(1)
        self.pen(7.5)
        x, y = self.l_margin, self.get_y()
        for role, label in legend.items():
            needed = 12 + self.get_string_width(label)
            if x + needed > self.l_margin + self.epw:
                x, y = self.l_margin, y + 4.2
            self.panel(swatch(role), x, y, 0.25)
            self.pen(7.5)
            self.text(x + 8.5, y + 2.5, label)
            x += needed
        self.set_xy(self.l_margin, y + (4.5 if legend else 0))

    def panel(self, panel: Panel, left: float, top: float, scale: float) -> None:
        """Draw a panel with its corner there; `scale` is millimetres a unit."""
        for path in panel.paths:
            self._path(path, left, top, scale)
        self.pen(min(LETTERS * scale / 0.3528, LARGEST), FAINT)
        for word in panel.words:
            wide = self.get_string_width(word.text)
            back = {"start": 0.0, "middle": wide / 2, "end": wide}[word.anchor]
            self.text(left + word.x * scale - back, top + word.y * scale, word.text)

    def _path(self, path: Path, left: float, top: float, scale: float) -> None:
        style = STYLES[path.role]
        colour = tuple(int(style.light[at : at + 2], 16) for at in (1, 3, 5))
        filled = style.fill > 0 or path.role in HOLLOW
        self.set_draw_color(*colour)
        self.set_fill_color(*(colour if style.fill else (255, 255, 255)))
        self.set_line_width(max(style.width, 0.1) * scale)
        self.set_dash_pattern(*(part * scale for part in style.dash[:2]))
        fill = (style.fill or 1.0) * path.opacity
        with self.local_context(fill_opacity=fill, stroke_opacity=path.opacity):
            for line in path.lines:
                points = [(left + x * scale, top + y * scale) for x, y in line]
                drawn = "D" if not filled else "DF" if style.width else "F"
                if path.closed:
                    self.polygon(points, style=drawn)
                else:
                    self.polyline(points, style="D")
        self.set_dash_pattern()
