"""Networks compared: accuracy against latency, or MACs against it (extra ``figures``)."""

from __future__ import annotations

import numpy as np

from optuna_pop.errors import needs_extra
from optuna_pop.profiling.compare import Comparison
from optuna_pop.tracking.colours import BLUE, GREY, INK

with needs_extra("figures"):
    from matplotlib.figure import Figure

    from optuna_pop.tracking.annotations import label_points
    from optuna_pop.tracking.axes import (
        head,
        name_axes,
        new_figure,
        quiet,
        scale_accuracies,
        scale_costs,
    )


def comparison_figure(found: Comparison, *, size: tuple[int, int] = (1200, 800)) -> Figure:
    """Draw networks by latency and published accuracy, or by MACs where it is not known of all.

    Args:
        found: At least one network.
        size: Width and height in pixels at 100 dots an inch.

    Returns:
        A figure for ``figures.save_figure``, each network labelled with its name.
    """
    measures = {network.accuracy_of for network in found.networks}
    known = all(network.accuracy is not None for network in found.networks)
    one = len({(words or "").partition(",")[0] for words in measures}) == 1
    figure = new_figure(size)
    axes = figure.add_axes((0.075, 0.1, 0.9, 0.775))
    x = np.array([found.latency(network) for network in found.networks])
    y = np.array([(n.accuracy or 0.0) if known and one else n.macs / 1e6 for n in found.networks])
    scale_costs(axes, x, left=0.08, right=0.14)
    if known and one:
        scale_accuracies(axes, y, below=0.1, above=0.12)
    else:
        axes.set_ylim(0, 1.15 * y.max())
    quiet(axes)
    axes.scatter(x, y, s=88, color=BLUE, edgecolors="white", linewidths=1.6, zorder=5)
    words = next(iter(measures)) if known and one else None
    name_axes(
        axes,
        cost_label=f"{found.statistic} latency (ms)",
        accuracy_label=f"{(words or '').partition(',')[0]} (%)" if words else "MMACs",
    )
    points = np.column_stack([x, y])
    names = [network.name for network in found.networks]
    label_points(
        axes,
        points,
        names,
        names,
        markers=points,
        lines=np.empty((0, 4)),
        color=INK,
        leader_color=GREY,
    )
    where = found.conditions
    head(
        figure,
        f"{len(names)} networks on {where.device_name}",
        f"{where.engine}, {where.precision}, batch {where.batch}, one session."
        + (" Up and to the left is better." if words else ""),
    )
    return figure
