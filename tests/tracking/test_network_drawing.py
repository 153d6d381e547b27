"""Networks drawn: what is counted in the picture is what the network has."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from optuna_pop.spaces.backbone import BackboneSpace
from optuna_pop.spaces.df import NAMES, df_blocks
from optuna_pop.tracking.network_drawing import network_svg, network_text
from optuna_pop.tracking.network_stages import all_stages, backbone_stages

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> tuple[list[str], list[str], ElementTree.Element]:
    """Titles of the boxes, texts, and the whole."""
    root = ElementTree.fromstring(svg)
    boxes = [str(box.text) for box in root.iterfind(f"{SVG}rect/{SVG}title")]
    return boxes, [str(text.text) for text in root.iterfind(f"{SVG}text")], root


def test_a_box_for_every_block_with_widths_depths_and_sizes() -> None:
    boxes, texts, _ = drawn(network_svg(df_blocks("df2")))
    assert boxes.count("width 64") == 3  # stage 2 and two blocks of stage 3
    assert boxes.count("width 128") == 11
    assert boxes.count("width 512") == 2
    assert {"11 blocks", "14×14", "3×224×224", "head", "1000 classes"} <= set(texts)


def test_decoder_is_drawn_with_pyramid_controllers_and_fusion() -> None:
    _, texts, _ = drawn(network_svg(df_blocks("df1-seg")))
    wanted = {
        "pyramid",
        "C3 = 19",
        "C4 = 32",
        "C5 = 128",
        "C5 + C4",
        "C4 + C3",
        "score",
        "upsample",
    }
    assert wanted <= set(texts)
    assert "upsample" not in drawn(network_svg(df_blocks("df1-seg-d8")))[1]


@pytest.mark.parametrize("name", NAMES)
def test_stages_hold_all_blocks_once(name: str) -> None:
    blocks = df_blocks(name)
    stages = all_stages(blocks)
    assert [block for stage in stages for block in stage.blocks] == list(blocks)
    assert len(backbone_stages(blocks)) == 5
    assert network_text(blocks).count("\n") == len(stages) - 1


def test_text_says_widths_and_depths() -> None:
    lines = network_text(df_blocks("df1")).splitlines()
    assert lines[4].split() == ["stage", "5", "7×7", "▆▆▆▆▆▆", "256", "×3", "▆▆▆▆▆▆▆", "512"]


def test_even_the_deepest_network_fits_a_page() -> None:
    space = BackboneSpace(max_depths=(20, 20, 20))
    _, _, root = drawn(network_svg(space.blocks(space.at(len(space) - 1))))
    assert float(root.attrib["width"]) < 960
    right = float(root.attrib["viewBox"].split()[2])
    ends = [float(b.attrib["x"]) + float(b.attrib["width"]) for b in root.iterfind(f"{SVG}rect")]
    assert max(ends) <= right
