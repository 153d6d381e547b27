"""A decoder search as speed against mIoU (POP paper, Figure 9; extra ``report``)."""

from __future__ import annotations

from optuna_pop.errors import StudyError, needs_extra
from optuna_pop.findings import Findings, boundary_rows
from optuna_pop.ledger import Trained
from optuna_pop.spaces.decoder import DecoderSpace
from optuna_pop.tracking.colours import BLUE, GREY
from optuna_pop.tracking.interactive.style import about, accuracy_axis, cost_axis, dress, plain
from optuna_pop.tracking.points import drawable, points_of

with needs_extra("report"):
    import plotly.graph_objects as go


def decoders(findings: Findings, cost: int = 0) -> go.Figure:
    """Draw mIoU against frames per second, with the widths [C3, C4, C5] on the boundary.

    This is this project's reading of the paper's Figure 9, speed and accuracy of segmentation
    networks. Frames per second are 1000 over the latency in ms at batch 1, as in the paper's
    tables: how fast one image follows another if nothing else takes time.

    Raises:
        StudyError: if decoders are not what the study searched.
        InputError: if there is nothing to draw.
    """
    if not isinstance(findings.space, DecoderSpace):
        raise StudyError(f"study {findings.study.study_name!r} did not search decoders")
    drawn = [entry for entry in drawable(findings.trained, cost) if entry.costs[0] > 0]
    held = boundary_rows(drawn)
    numbers = {entry.number for entry in held}
    others = [entry for entry in drawn if entry.number not in numbers]
    figure = go.Figure()
    for name, entries, marker in (
        ("trained", others, {"size": 8, "color": "white", "line": {"color": GREY, "width": 1.6}}),
        ("on the boundary", held, {"size": 11, "color": BLUE}),
    ):
        if not entries:
            continue
        ms, accuracy = points_of(entries).T
        figure.add_scatter(
            x=1000 / ms,
            y=accuracy,
            mode="markers+text" if entries is held else "markers",
            name=name,
            marker=marker,
            text=[widths_of(entry) for entry in entries] if entries is held else None,
            textposition="top center",
            textfont={"size": 11},
            cliponaxis=False,
            customdata=about(entries),
            hovertemplate="<b>%{customdata[1]}</b><br>trial %{customdata[0]}<br>"
            f"{plain(findings.accuracy_name)}: %{{y:.4~g}}<br>%{{x:.4~g}} FPS<extra></extra>",
        )
    ms, accuracy = points_of(drawn).T
    figure.update_layout(
        xaxis=cost_axis(1000 / ms, "frames per second", share=0.16),
        yaxis=accuracy_axis(accuracy, findings.accuracy_name, below=0.08, above=0.16),
    )
    best = max(held, key=lambda entry: entry.accuracy)
    return dress(
        figure,
        f"Up to {best.accuracy:.4g} {findings.accuracy_name}, at {1000 / best.costs[0]:.3g} FPS",
        "Labels: widths of the controllers [C3, C4, C5]. Up and to the right is better.",
    )


def widths_of(entry: Trained) -> str:
    """``[32, 64, 128]`` of a decoder's ``C3=32, C4=64, C5=128``."""
    return f"[{', '.join(part.partition('=')[2] for part in entry.architecture.split(', '))}]"
