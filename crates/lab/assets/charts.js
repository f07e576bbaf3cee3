// Draws the charts of a report with uPlot: drag to zoom, double click to see all again.
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ink = colour("--soft"), line = colour("--line");
  const short = (_, values) => values.map((value) => (value == null ? "" : Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 8 })));
  const axis = (label) => ({ label, values: short, stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } });
  for (const figure of document.querySelectorAll("figure.chart")) {
    const chart = JSON.parse(figure.querySelector("script").textContent);
    const data = [chart.x], series = [{ label: chart.x_label }], bands = [];
    chart.series.forEach((one) => {
      const stroke = colour("--c" + (one.colour % 6));
      series.push({
        label: one.name, stroke, width: one.points ? 0 : 2, spanGaps: true,
        paths: one.points ? () => null : undefined,
        points: { show: one.points || chart.x.length < 40, size: 6, fill: one.points ? stroke : undefined },
        value: (_, value) => (value == null ? "" : Number(value.toPrecision(4)).toString()),
      });
      data.push(one.y);
      if (one.low.length) {
        const at = series.length;
        const hidden = { class: "band", stroke: "transparent", width: 0, points: { show: false } };
        series.push({ ...hidden, label: one.name + ", most" }, { ...hidden, label: one.name + ", least" });
        data.push(one.high, one.low);
        bands.push({ series: [at, at + 1], fill: stroke + "33" });
      }
    });
    const width = () => Math.min(figure.clientWidth, 960);
    const scales = { x: { time: false }, y: chart.logarithmic ? { distr: 3 } : {} };
    const plot = new uPlot(
      { width: width(), height: 320, scales, series, bands, axes: [axis(chart.x_label), { ...axis(chart.y_label), size: 70 }] },
      data, figure);
    addEventListener("resize", () => plot.setSize({ width: width(), height: 320 }));
  }
})();
