"""A network drawn: stages with the width and depth of their blocks, and DF-Seg's decoder.

Nothing is needed for it but the block configurations. Lengths are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from optuna_pop.spaces.blocks import BlockConfig
from optuna_pop.tracking.network_stages import Stage, all_stages, backbone_stages, is_decoder

_INK, _MUTED, _LINE = "#1f2328", "#57606a", "#8c959f"
# Okabe and Ito's colours, lightened so that dark text can be read on them.
_STAGES = ("#cfd6de", "#cfd6de", "#7fb8d9", "#3d95c6", "#0072B2")
_HEAD, _CONTROL, _FUSION = "#e6e9ed", "#f3cf80", "#eaae7f"
_WIDEST = 940  # of a drawing
_BLOCK, _NARROWEST, _GAP = 24.0, 4.0, 3.0  # a block of the backbone, and between two
_BETWEEN = 34.0  # two stages
_TALLEST, _LOWEST = 96.0, 16.0  # of a block: the widest and the narrowest
_CHARACTER = 6.6  # mean width of one at 12 pixels
_LINE_HEIGHT = 15.0


def network_svg(blocks: Sequence[BlockConfig]) -> str:
    """Draw a network as an SVG image on white, 940 pixels wide at most.

    Args:
        blocks: In order of execution: a backbone with its head, or with DF-Seg's decoder, or any
            others in a chain, which are drawn as boxes behind the backbone.
    """
    backbone = backbone_stages(blocks)
    rest = all_stages(blocks)[len(backbone) :]
    decoder = is_decoder([stage.blocks[0] for stage in rest])
    canvas = _Canvas()
    columns = _backbone(canvas, backbone, rest, left=100.0 if decoder else 12.0)
    if decoder:
        _decoder(canvas, columns, rest)
    return canvas.svg(f"network: {', then '.join(f'{s.name} {s.words}' for s in backbone)}")


def network_text(blocks: Sequence[BlockConfig]) -> str:
    """Draw a network in characters, a line for each stage: for where no picture can be shown."""
    stages = all_stages(blocks)
    names = max(len(stage.name) for stage in stages)
    pixels = max(len(stage.pixels) for stage in stages)
    lines = []
    for stage in stages:
        bars = "  ".join(
            f"{'▆' * _length(width)} {width}" + (f" ×{count}" if count > 1 else "")
            for width, count in stage.runs
        )
        lines.append(f"{stage.name:<{names}}  {stage.pixels:>{pixels}}  {bars}")
    return "\n".join(lines)


def _length(width: int) -> int:
    """Characters of a block's bar: one more for each doubling above 8."""
    return max(1, round(math.log2(max(width, 1))) - 2)


@dataclass
class _Canvas:
    """SVG elements, and how far they reach."""

    elements: list[ElementTree.Element] = field(default_factory=list)
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    def box(
        self, left: float, top: float, width: float, height: float, fill: str, title: str
    ) -> None:
        """Draw a rectangle; its title shows where the mouse rests."""
        where = {"x": left, "y": top, "width": width, "height": height}
        shape = self._add("rect", **where, fill=fill, stroke=_INK, rx=2.0)
        shape.set("stroke-width", "0.6")
        ElementTree.SubElement(shape, "title").text = title
        self._reach(left + width, top, top + height)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        colour: str = _INK,
        anchor: str = "middle",
        bold: bool = False,
    ) -> None:
        """Write words whose base line is at y."""
        found = self._add("text", x=x, y=y, fill=colour)
        found.set("text-anchor", anchor)
        if bold:
            found.set("font-weight", "600")
        found.text = words
        share = {"start": 1.0, "middle": 0.5, "end": 0.0}[anchor]
        self._reach(x + share * _CHARACTER * len(words), y - 11, y + 4)

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line with a head at its end."""
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        line = self._add("path", d=path, fill="none", stroke=_LINE)
        line.set("stroke-width", "1.4")
        line.set("marker-end", "url(#head)")

    def svg(self, title: str) -> str:
        """Return the image."""
        pad = 8.0
        top, height = self.top - pad, self.bottom - self.top + 2 * pad
        width = self.right + 2 * pad
        root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        root.set("width", f"{width:.0f}")
        root.set("height", f"{height:.0f}")
        root.set("viewBox", f"0 {top:.1f} {width:.1f} {height:.1f}")
        root.set("font-family", "system-ui, 'DejaVu Sans', sans-serif")
        root.set("font-size", "12")
        ElementTree.SubElement(root, "title").text = title
        marker = ElementTree.SubElement(
            ElementTree.SubElement(root, "defs"), "marker", id="head", orient="auto"
        )
        for name, value in {"markerWidth": 7, "markerHeight": 7, "refX": 6, "refY": 3.5}.items():
            marker.set(name, str(value))
        ElementTree.SubElement(marker, "path", d="M0,0.5 L6,3.5 L0,6.5 Z", fill=_LINE)
        ground = {"x": "0", "y": f"{top:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
        ElementTree.SubElement(root, "rect", ground, fill="white")
        root.extend(self.elements)
        return ElementTree.tostring(root, encoding="unicode")

    def _add(self, tag: str, **attributes: str | float) -> ElementTree.Element:
        found = ElementTree.Element(tag)
        for name, value in attributes.items():
            found.set(name, value if isinstance(value, str) else f"{value:.1f}")
        self.elements.append(found)
        return found

    def _reach(self, right: float, top: float, bottom: float) -> None:
        self.right = max(self.right, right)
        self.top, self.bottom = min(self.top, top), max(self.bottom, bottom)


def _backbone(
    canvas: _Canvas, stages: Sequence[Stage], rest: Sequence[Stage], left: float
) -> list[tuple[float, float]]:
    """Draw stages from left to right and what follows, the first block of it beside them.

    Returns:
        Left and right end of each stage.
    """
    widest = max(width for stage in stages for width, _ in stage.runs)
    shape = stages[0].blocks[0].input_shape
    canvas.text(left, 4, "×".join(map(str, shape)), colour=_MUTED, anchor="start")
    x = left + 1.15 * _CHARACTER * len("×".join(map(str, shape))) + _BETWEEN + 4
    count = sum(len(stage.blocks) for stage in stages)
    room = _WIDEST - x - _BETWEEN * len(stages) - 130
    step = min(_BLOCK + _GAP, max(_NARROWEST + 1, room / count))
    ends = []
    for number, stage in enumerate(stages):
        canvas.arrow((x - _BETWEEN + 5, 0), (x - 4, 0))
        begun = x
        x = _stage(canvas, stage, x, step, widest, _STAGES[min(number, len(_STAGES) - 1)])
        ends.append((begun, x))
        needed = 1.1 * _CHARACTER * len(stage.pixels) + 4  # so that no two of these touch
        x = max(x + _BETWEEN, (begun + x + needed) / 2 + needed / 2)
    decoder = is_decoder([stage.blocks[0] for stage in rest])
    for stage in rest[:1] if decoder else rest:
        canvas.arrow((x - _BETWEEN + 5, 0), (x - 4, 0))
        block = stage.blocks[0]
        canvas.box(x, -_LOWEST, 84, 2 * _LOWEST, _HEAD, block.key)
        canvas.text(x + 42, -2, stage.name, bold=True)
        canvas.text(x + 42, 12, _ends_in(block), colour=_MUTED)
        ends.append((x, x + 84))
        x += 84 + _BETWEEN
    return ends


def _stage(canvas: _Canvas, stage: Stage, x: float, step: float, widest: int, colour: str) -> float:
    """Draw the blocks of a stage; return where it ends."""
    begun, levels = x, [-math.inf, -math.inf]  # where the last label of each line ends
    size = step - (_GAP if step > 3 * _GAP else 1.0)
    for width, count in stage.runs:
        height = max(_LOWEST, _TALLEST * (1 - math.log2(widest / width) / 5))
        for number in range(count):
            canvas.box(x + number * step, -height / 2, size, height, colour, f"width {width}")
        words = str(width)
        middle, half = x + (count * step - (step - size)) / 2, _CHARACTER * len(words) / 2
        line = 0 if middle - half > levels[0] else 1
        levels[line] = middle + half + 3
        canvas.text(middle, -_TALLEST / 2 - 6 - line * _LINE_HEIGHT, words)
        x += count * step
    x -= step - size
    depth = len(stage.blocks)
    middle, below = (begun + x) / 2, _TALLEST / 2
    canvas.text(middle, below + _LINE_HEIGHT, stage.name.removeprefix("stage "), bold=True)
    canvas.text(middle, below + 2 * _LINE_HEIGHT, stage.pixels, colour=_MUTED)
    if depth > 1:
        canvas.text(middle, below + 3 * _LINE_HEIGHT, f"{depth} blocks", colour=_MUTED)
    return x


def _decoder(
    canvas: _Canvas, columns: Sequence[tuple[float, float]], rest: Sequence[Stage]
) -> None:
    """Draw controllers below their stages, and fusion nodes below them, back to the left."""
    middles = [sum(columns[at]) / 2 for at in (-4, -3, -1)]  # stage 3, 4 and the pyramid
    _, *controls, deep, shallow, score = rest[:7]
    depths = _TALLEST / 2 + 3 * _LINE_HEIGHT + 6
    control, fusion = depths + 26, depths + 86
    size = (72.0, 30.0)
    for x, stage, from_pyramid in zip(middles, controls, (False, False, True), strict=True):
        canvas.arrow((x, _LOWEST + 4 if from_pyramid else depths), (x, control - 4))
        _node(canvas, x, control, size, stage, _CONTROL, f"{stage.name} = {stage.words}")
    for x, stage in ((middles[1], deep), (middles[0], shallow)):
        canvas.arrow((x, control + size[1] + 3), (x, fusion - 4))
        _node(canvas, x, fusion, size, stage, _FUSION, stage.name)
    row = fusion + size[1] / 2
    canvas.arrow(
        (middles[2], control + size[1] + 3), (middles[2], row), (middles[1] + size[0] / 2 + 4, row)
    )
    canvas.arrow((middles[1] - size[0] / 2 - 3, row), (middles[0] + size[0] / 2 + 4, row))
    x, before = middles[0] - size[0] - 40, middles[0]
    for stage in (score, *rest[7:]):
        canvas.arrow((before - size[0] / 2 - 3, row), (x + size[0] / 2 + 4, row))
        _node(canvas, x, fusion, size, stage, _HEAD, stage.name)
        canvas.text(x, fusion + size[1] + _LINE_HEIGHT, _ends_in(stage.blocks[0]), colour=_MUTED)
        canvas.text(x, fusion + size[1] + 2 * _LINE_HEIGHT, stage.pixels, colour=_MUTED)
        before, x = x, x - size[0] - 40


def _node(
    canvas: _Canvas,
    x: float,
    top: float,
    size: tuple[float, float],
    stage: Stage,
    fill: str,
    words: str,
) -> None:
    canvas.box(x - size[0] / 2, top, *size, fill, stage.blocks[0].key)
    canvas.text(x, top + size[1] / 2 + 4, words)


def _ends_in(block: BlockConfig) -> str:
    return (
        f"{block.c_out} classes"
        if block.kind in ("head", "score", "upsample")
        else f"{block.c_out} wide"
    )
