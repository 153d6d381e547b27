"use strict";
(() => {
  // A finger scrolls the page; it must not be caught by a figure that would zoom.
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const options = {
    displayModeBar: touch ? false : "hover",
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    doubleClick: touch ? false : "reset",
  };

  // On paper a picture of fixed proportions stands for each figure.
  const still = async (plot) => {
    const image = document.createElement("img");
    image.className = "still";
    image.alt = plot.closest("figure").querySelector(".finding").textContent;
    image.src = await Plotly.toImage(plot, {
      format: "svg", width: 760, height: Math.min(Number(plot.dataset.height), 460),
    });
    plot.after(image);
    plot.parentElement.classList.add("drawn");
  };

  const draw = async (script) => {
    const plot = document.getElementById(script.dataset.plot);
    const { data, layout } = JSON.parse(script.textContent);
    layout.height = Number(plot.dataset.height);
    if (touch) layout.dragmode = false;
    await Plotly.newPlot(plot, data, layout, options);
    await still(plot);
  };

  const all = document.querySelectorAll("script[data-plot]");
  (async () => {
    for (const script of all) await draw(script);
    document.documentElement.dataset.ready = "true";
  })();
})();
