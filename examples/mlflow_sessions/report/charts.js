// SPDX-License-Identifier: Apache-2.0
// Charts drawn by uPlot, each with a table of its numbers.

const colourNamed = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seriesColours = ["--blue", "--orange", "--teal", "--magenta", "--cyan", "--brown"];
const fade = (colour, share) => colour + Math.round(share * 255).toString(16).padStart(2, "0");
let charts = [];
const widths = new ResizeObserver(entries => {
  for (const { target, contentRect } of entries) target.plot?.setSize({ width: Math.max(120, Math.floor(contentRect.width)), height: target.plot.height });
});
const redraw = () => { for (const chart of charts) chart.plot?.redraw(false); };
function forgetCharts() {
  for (const chart of charts) { widths.unobserve(chart); chart.plot?.destroy(); }
  charts = [];
}

// The day, or the time of day if the steps are shorter than a day.
function axisTime(time, step) {
  const { clock: at } = partsOf(time);
  return step >= day || at === "00:00:00" ? dayOf(time) : step < minute ? at : at.slice(0, 5);
}

// series: [{ label, values, colour (a name), bars, shade, dash, format }]
function plotted(place, x, series, { height = 200, time = true, labels, format = brief, onRange, slice } = {}) {
  const grid = { stroke: () => colourNamed("--grid"), width: 1 };
  const axis = { stroke: () => colourNamed("--soft"), grid, ticks: { show: false }, font: "12px system-ui, sans-serif", gap: 6 };
  const sized = Math.max(120, place.clientWidth);
  const options = {
    width: sized, height, ms: 1,
    tzDate: at => (isUtc ? uPlot.tzDate(new Date(at), "Etc/UTC") : new Date(at)),
    padding: [10, 24, 0, 0],
    scales: { x: time ? { time: true, range: (u, low, high) => [low - slice / 2, high + slice / 2] } : { time: false, range: () => [-0.7, x.length - 0.3] },
      y: { range: (u, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...axis, space: time ? 84 : 1, grid: { show: false }, size: 30,
        ...(time ? { values: (u, at, which, room, step) => at.map(one => axisTime(one, step)) } : { splits: () => x, incrs: [1], values: (u, at) => at.map(i => (i % Math.ceil(x.length / (u.width / 78)) === 0 ? labels[i] : "")) }) },
      { ...axis, size: 58, values: (u, at) => at.map(format), space: 36 },
    ],
    cursor: { drag: { x: !!onRange, y: false, setScale: false }, sync: time ? { key: "time" } : undefined, points: { size: 7 } },
    legend: { live: true, markers: { width: 0, fill: (u, nth) => (nth ? `var(${series[nth - 1].colour})` : "transparent") } },
    series: [
      { label: time ? "Time" : "Range", value: (u, at, s, i) => (i === null || i === undefined ? "" : time ? when(at).slice(0, 16) : labels[i]) },
      ...series.map(one => ({
        label: one.label, stroke: () => colourNamed(one.colour), width: one.bars ? 0 : 2, dash: one.dash, spanGaps: true,
        fill: one.bars || one.shade ? () => fade(colourNamed(one.colour), one.bars ? 1 : 0.12) : undefined, points: { show: !one.bars && x.length < 12, size: 5 },
        paths: one.bars ? uPlot.paths.bars({ size: [0.82, 36], radius: 0.12 }) : undefined,
        value: (u, at) => (at === null || at === undefined ? "" : (one.format || format)(at)),
      })),
    ],
    hooks: onRange ? { setSelect: [u => {
      if (u.select.width < 4) return;
      onRange(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
      u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    }] } : {},
  };
  place.plot = new uPlot(options, [x, ...series.map(one => one.values)], place);
  place.querySelector(".u-legend").setAttribute("aria-hidden", "true"); // the label has the same content
  charts.push(place);
  widths.observe(place);
}

function numbersTable(title, head, rows) {
  const details = h("details", { class: "numbers" }, h("summary", {}, "Numbers"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    details.append(h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Numbers: " + title }, h("table", {},
      h("thead", {}, h("tr", {}, head.map(one => h("th", { scope: "col" }, one)))),
      h("tbody", {}, rows().map(row => h("tr", {}, row.map((one, i) => h(i ? "td" : "th", i ? {} : { scope: "row" }, one))))))));
  }, { once: false });
  return details;
}

// A chart over time slices. `valuesOf(indices by slice)` is called once for each series.
function overTime(title, slices, series, options = {}) {
  const place = h("div", { class: "chart", role: "img", "aria-label": title + " over time, " + when(slices.starts[0]).slice(0, 16) + " to " +
    when(slices.starts[slices.count - 1] + slices.length).slice(0, 16) + ": " + series.map(one => `${one.label}: highest ${(one.format || options.format || brief)(Math.max(...one.values.filter(v => v !== null), 0))}`).join("; ") });
  const format = one => value => (value === null ? dash : (one.format || options.format || brief)(value));
  const element = card(title, options.note ? h("p", { class: "note" }, options.note) : null, place, numbersTable(title, ["From", ...series.map(one => one.label)],
    () => slices.starts.map((start, i) => [when(start).slice(0, 16), ...series.map(one => format(one)(one.values[i]))])));
  afterPaint(() => plotted(place, slices.starts.map(start => start + slices.length / 2), series,
    { ...options, slice: slices.length, onRange: options.onRange || chooseRange }));
  return element;
}

function bars(title, labels, series, options = {}) {
  const place = h("div", { class: "chart", role: "img", "aria-label": title + ": " + labels.map((label, i) => `${label} ${series[0].values[i]}`).join(", ").slice(0, 600) });
  const element = card(title, options.note ? h("p", { class: "note" }, options.note) : null, place, numbersTable(title, ["Range", ...series.map(one => one.label)],
    () => labels.map((label, i) => [label, ...series.map(one => whole(one.values[i]))])));
  afterPaint(() => plotted(place, labels.map((_, i) => i), series, { ...options, time: false, labels }));
  return element;
}
// Draws after layout, when the element has its width.
const afterPaint = draw => requestAnimationFrame(() => draw());

// A histogram of durations: bins of equal width on a logarithmic scale, with round limits.
function histogramOf(sorted) {
  const limits = [0];
  for (let decade = 1; decade < 1e9; decade *= 10) for (const step of [1, 1.5, 2, 3, 5, 7]) limits.push(decade * step);
  const low = percentile(sorted, 0), high = percentile(sorted, 100);
  let from = limits.findIndex(limit => limit > low) - 1;
  let to = limits.findIndex(limit => limit > high);
  if (from < 0) from = 0;
  if (to < 0) to = limits.length - 1;
  const counts = new Array(Math.max(1, to - from)).fill(0);
  let bin = 0;
  for (const value of sorted) {
    while (bin < counts.length - 1 && value >= limits[from + bin + 1]) ++bin;
    counts[bin]++;
  }
  const brief = ms => (ms < 1000 ? ms + " ms" : ms < minute ? ms / 1000 + " s" : Math.round(ms / 6000) / 10 + " min");
  return { counts, labels: counts.map((_, i) => (limits[from + i] ? "≥ " + brief(limits[from + i]) : "< 1 ms")) };
}
