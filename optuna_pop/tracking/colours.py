"""Colours that all figures and pages share."""

from __future__ import annotations

# Okabe and Ito's colours, told apart with any colour vision; grey recedes.
BLUE, ORANGE, VERMILLION = "#0072B2", "#E69F00", "#D55E00"
INK, MUTED, GREY, FRAME = "#1f2328", "#57606a", "#8c959f", "#d0d7de"
OPEN, RULED_OUT, PRUNED = "#fcecc9", "#eceff2", "#b4bcc5"  # ORANGE on white; light greys
GRID = "#eaeef2"
