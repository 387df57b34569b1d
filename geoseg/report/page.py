"""One HTML page that needs nothing but itself: text, tables and pictures, for screens light and dark and for paper."""

from __future__ import annotations

import base64
import html
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5a6570; --line: #d9dee3; --paper: #ffffff; --card: #f5f7f9;
  --heat: 36, 113, 163; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8eb; --soft: #9aa6b0; --line: #37414a; --paper: #171b1f;
  --card: #20262b; --heat: 84, 160, 214; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 74rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 48rem; overflow-wrap: anywhere; }
.lead, .caption, figcaption, footer { color: var(--soft); }
.numbers { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.number { background: var(--card); border-radius: .5rem; padding: .7rem 1.1rem; min-width: 9rem; }
.number b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.number span, .number small { color: var(--soft); font-size: .85rem; display: block; }
.table { margin: 1rem 0 1.4rem; min-width: 0; max-width: 100%; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
.caption { font-size: .88rem; margin: 0 0 .3rem; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; padding-left: .2rem; }
.swatches { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .9rem; margin: .6rem 0; }
.swatches i { display: inline-block; width: .9em; height: .9em; border-radius: .2em; margin-right: .4em;
  border: 1px solid var(--line); vertical-align: -.1em; }
.beside { display: flex; flex-wrap: wrap; gap: 1.2rem; }
figure { margin: .6rem 0; width: fit-content; min-width: 0; max-width: 100%; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: .4rem; }
figcaption { width: 0; min-width: 100%; font-size: .88rem; padding-top: .35rem; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
footer { margin-top: 3rem; font-size: .85rem; }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --card: #f3f3f3; --heat: 36, 113, 163; }
  body { padding: 0; font-size: 11px; max-width: none; } h2 { break-after: avoid; }
  figure img { min-width: 0 !important; }
  td, .number, .swatches i { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


# Nothing is ever fetched or run, whatever a name in a file may say.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_LEAST = 0.8  # of a picture's width: texts in smaller ones cannot be read


class Part(Protocol):
    """Anything that a section can hold."""

    def html(self) -> str:
        """Return it as HTML, with all texts escaped."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str

    def html(self) -> str:
        """Return the paragraph as HTML."""
        return f"<p>{escaped(self.text)}</p>"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first column stands on the left, the others on the right."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    shades: Sequence[Sequence[float]] = ()
    """How dark the cells after the first are, 0 to 1, by row; empty for no shading."""

    def html(self) -> str:
        """Return the table as HTML."""
        # Not within the table, whose width it would have: on a small screen it could not be read without scrolling.
        caption = f'<p class="caption">{escaped(self.caption)}</p>' if self.caption else ""
        heads = "".join(f"<th>{escaped(head)}</th>" for head in self.heads)
        rows = []
        for i, row in enumerate(self.rows):
            shades = [0.0, *self.shades[i]] if self.shades else [0.0] * len(row)
            cells = "".join(_cell(cell, shade) for cell, shade in zip(row, shades, strict=True))
            rows.append(f"<tr>{cells}</tr>")
        inside = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
        return f'<div class="table">{caption}<div class="wide"><table>{inside}</table></div></div>'


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with a sentence below it; it scrolls where it would become too small to read."""

    png: bytes
    caption: str
    width_px: int | None = None
    """Width on the page; None for the picture's own."""

    def html(self) -> str:
        """Return the figure as HTML, the picture inside."""
        code = base64.b64encode(self.png).decode("ascii")
        width = self.width_px or struct.unpack(">I", self.png[16:20])[0]  # of the PNG's header
        size = f'width="{width}" style="min-width: {round(_LEAST * width)}px"'
        image = f'<img src="data:image/png;base64,{code}" alt="{escaped(self.caption)}" {size}>'
        return f'<figure><div class="wide">{image}</div><figcaption>{escaped(self.caption)}</figcaption></figure>'


@dataclass(frozen=True, slots=True)
class Beside:
    """Parts side by side, as many as fit."""

    parts: Sequence[Part]

    def html(self) -> str:
        """Return the parts as HTML."""
        return f'<div class="beside">{"".join(part.html() for part in self.parts)}</div>'


@dataclass(frozen=True, slots=True)
class Numbers:
    """The few numbers that matter, in large type: what, how much, and a remark."""

    numbers: Sequence[tuple[str, str, str]]

    def html(self) -> str:
        """Return the numbers as HTML."""
        cards = (
            f"<span>{escaped(what)}</span><b>{escaped(much)}</b><small>{escaped(remark)}</small>"
            for what, much, remark in self.numbers
        )
        return '<div class="numbers">' + "".join(f'<div class="number">{card}</div>' for card in cards) + "</div>"


@dataclass(frozen=True, slots=True)
class Swatches:
    """Colours and what they mean."""

    colors: Sequence[tuple[str, str]]
    """Names and ``#RRGGBB``."""

    def html(self) -> str:
        """Return the colours as HTML."""
        colors = (
            f'<span><i style="background: {escaped(color)}"></i>{escaped(name)}</span>' for name, color in self.colors
        )
        return f'<div class="swatches">{"".join(colors)}</div>'


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences, each with a dot before it."""

    sentences: Sequence[str]

    def html(self) -> str:
        """Return the sentences as HTML."""
        return f"<ul>{''.join(f'<li>{escaped(sentence)}</li>' for sentence in self.sentences)}</ul>"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows it; an empty title stands for none."""

    title: str
    parts: Sequence[Part]


def page(title: str, sections: Sequence[Section], *, lead: str = "", footer: str = "") -> str:
    """Return a page as HTML text; every text in it is escaped, and nothing is loaded from elsewhere.

    Args:
        title: heading and window title.
        sections: in order.
        lead: a sentence below the heading.
        footer: a sentence at the end.
    """
    body = [f"<h1>{escaped(title)}</h1>", f'<p class="lead">{escaped(lead)}</p>' if lead else ""]
    for section in sections:
        heading = f"<h2>{escaped(section.title)}</h2>" if section.title else ""
        body += ["<section>", heading, *(part.html() for part in section.parts), "</section>"]
    body.append(f"<footer>{escaped(footer)}</footer>" if footer else "")
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escaped(title)}</title>",
        f"<style>{_STYLE}</style>",
    ]
    parts = ["<!DOCTYPE html>", '<html lang="en"><head>', *head, "</head><body>", *body, "</body></html>"]
    return "\n".join(filter(None, parts)) + "\n"


def escaped(text: str) -> str:
    """Return a text as it may stand anywhere in a page."""
    return html.escape(text, quote=True)


def _cell(text: str, shade: float) -> str:
    # Not darker than text can be read on.
    style = f' style="background: rgba(var(--heat), {0.6 * shade:.3f})"' if shade > 0 else ""
    return f"<td{style}>{escaped(text)}</td>"
