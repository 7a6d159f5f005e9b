// SPDX-License-Identifier: Apache-2.0
// Compares segments and cohorts, also over time, with confidence intervals; and lists feedback on turns.

let comparison = { by: "", metric: "rate" };

function metricsOf(picked) {
  const metrics = {
    rate: { label: "Error rate", format: percent, of: row => row.rate, interval: row => shareInterval(row.errors, row.turns) },
    p50: { label: "Latency p50", format: span, of: row => row.p50, interval: row => percentileInterval(row.durations, 50) },
    p95: { label: "Latency p95", format: span, of: row => row.p95, interval: row => percentileInterval(row.durations, 95) },
    turns: { label: "Turns", format: brief, of: row => row.turns },
    users: { label: "Users", format: brief, of: row => row.users },
    tokens: { label: "Tokens a turn", format: brief, of: row => row.tokens / row.turns },
    cost: { label: "Cost a turn", format: money, of: row => row.cost / row.turns },
  };
  for (const [name, score] of scoresOf(picked))
    if (score.scored)
      metrics["feedback " + name] = { label: "Feedback: " + name, format: score.isYesNo ? percent : decimal,
        of: row => { const own = row.scores.get(name); return own?.scored ? own.sum / own.scored : NaN; },
        interval: row => { const own = row.scores.get(name); return own?.scored ? meanInterval(own) : [NaN, NaN]; } };
  return metrics;
}

function choice(label, options, chosen, choose) {
  return h("label", { class: "choice" }, label + " ", h("select", { onchange: event => choose(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

function compareView(picked) {
  if (picked.length === 0) return nothingFound();
  const keys = [...F.keys].filter(([, column]) => column.values.length > 1).sort((a, b) => a[1].values.length - b[1].values.length || a[0].localeCompare(b[0])).map(([key]) => key);
  if (F.names.length > 1) keys.push("name");
  if (F.users.length) keys.push("first week");
  if (keys.length === 0) return [heading("Compare"), emptyState("Nothing to compare by", "Record metadata with the traces, such as app.segment or app.version.")];
  if (!keys.includes(comparison.by)) comparison.by = keys.find(key => !key.startsWith("tag.") && !key.startsWith("mlflow.")) || keys[0];
  const metrics = metricsOf(picked);
  if (!metrics[comparison.metric]) comparison.metric = "rate";
  const metric = metrics[comparison.metric];
  const column = keyColumn(comparison.by);
  const of = groupsOf(picked, column.values.length, i => column.at[i]);
  const members = column.values.map(() => []);
  for (const i of picked) if (column.at[i] >= 0) members[column.at[i]].push(i);
  const rows = column.values.map((value, nth) => ({ value, nth })).filter(({ nth }) => of.turns[nth]).map(({ value, nth }) => {
    const own = summaryOf(members[nth]);
    return { ...own, value, nth, durations: of.durations(nth) };
  }).sort((a, b) => b.turns - a.turns);
  const top = rows.slice(0, 6), colours = seriesColours;
  const slices = chosenSlices(picked, 28);
  const dashes = [undefined, [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [1, 4]];
  const series = top.map((row, nth) => {
    const parts = Array.from({ length: slices.count }, () => []);
    for (const i of members[row.nth]) parts[slices.at(F.time[i])].push(i);
    return { label: row.value.slice(0, 40), colour: colours[nth], dash: dashes[nth], values: parts.map(part => {
      if (part.length === 0) return null;
      const value = metric.of(summaryOf(part));
      return Number.isNaN(value) ? null : value;
    }) };
  });
  const change = change => { Object.assign(comparison, change); go("compare", filter, undefined, true); };
  const highest = rows.reduce((most, row) => Math.max(most, metric.of(row) || 0, (metric.interval && metric.interval(row)[1]) || 0), 0);
  const reference = rows[0];
  const verdict = row => {
    if (row === reference || !metric.interval) return "";
    const [a, b] = [metric.interval(row), metric.interval(reference)];
    if (a.concat(b).some(Number.isNaN)) return "too few";
    return a[0] > b[1] ? h("span", { class: "verdict" }, "higher") : a[1] < b[0] ? h("span", { class: "verdict" }, "lower") : h("span", { class: "soft" }, "no clear difference");
  };
  const interval = row => { if (!metric.interval) return ""; const [low, high] = metric.interval(row); return isNone(low) ? "" : `${metric.format(low)} – ${metric.format(high)}`; };
  const title = heading("Compare", "Segments, versions or cohorts of users beside each other.");
  const choices = h("div", { class: "choices" }, choice("Group by", keys.map(key => [key, key === "first week" ? "users by their first week" : key]), comparison.by, by => change({ by })),
    choice("Show", Object.entries(metrics).map(([key, one]) => [key, one.label]), comparison.metric, key => change({ metric: key })));
  if (rows.length === 0) return [title, choices, emptyState("Nothing to compare", `None of these turns has ${comparison.by}.`)];
  return [title, choices,
    overTime(`${metric.label} by ${comparison.by}`, slices, series, { format: metric.format, height: 240, note: rows.length > 6 ? "The six largest groups." : "" }),
    tableOf("compare " + comparison.by, "Groups", [
      { key: "value", head: comparison.by, class: "id", cell: row => h("a", { href: linkTo("overview", { ...filter, is: [...filter.is.filter(([key]) => key !== comparison.by), [comparison.by, row.value]] }) },
        h("span", { class: "swatch", "aria-hidden": "true", style: { background: top.includes(row) ? `var(${colours[top.indexOf(row)]})` : "transparent" } }), data(row.value)) },
      { key: comparison.metric, head: metric.label, number: true, value: metric.of, cell: row => metric.format(metric.of(row)) },
      ...(metric.interval ? [{ key: "interval", head: "95 % interval", plain: true, class: "interval", cell: row => [whisker(metric.of(row), metric.interval(row), highest, interval(row)), h("span", { class: "soft" }, interval(row))] },
        { key: "verdict", head: "Against " + reference.value.slice(0, 24), plain: true, cell: verdict }] : []),
      ...(comparison.metric === "turns" ? [] : [{ key: "turns", head: "Turns", number: true, cell: row => whole(row.turns) }]),
      ...(comparison.metric === "users" ? [] : [{ key: "users", head: "Users", number: true, cell: row => whole(row.users) }]),
      { key: "sessions", head: "Sessions", number: true, cell: row => whole(row.sessions) },
      ...figureColumns.filter(({ key }) => key !== comparison.metric),
    ], rows, { sort: ["turns", true] })];
}

// ---- Feedback

const shownValue = one => (one.error ? "failed: " + one.error : typeof one.value === "string" ? one.value : JSON.stringify(one.value));
function feedbackView(picked) {
  const mask = maskOf(picked);
  const said = F.said.filter(one => mask[one.trace]);
  if (said.length === 0) return [heading("Feedback"), emptyState("No feedback", about.mlflow ? "Nobody judged these turns. Log feedback with log_feedback, or let a judge do so." : "A trace file holds no feedback: make the report from the MLflow server.")];
  const slices = chosenSlices(picked, 40);
  const scores = [...scoresOf(picked)].sort((a, b) => b[1].count - a[1].count);
  const colours = seriesColours;
  const meanOver = name => {
    const sums = Array.from({ length: slices.count }, () => [0, 0]);
    for (const one of said) {
      const value = scoreOf(one.value);
      if (one.isExpectation || one.name !== name || Number.isNaN(value)) continue;
      const sum = sums[slices.at(F.time[one.trace])];
      sum[0] += value; sum[1]++;
    }
    return sums.map(([sum, count]) => (count ? sum / count : null));
  };
  const valuesOf = name => {
    const counts = new Map();
    for (const one of said) if (one.name === name && !one.isExpectation) { const value = shownValue(one); counts.set(value, (counts.get(value) || 0) + 1); }
    return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 6);
  };
  return [heading("Feedback", `${whole(said.length)} judgements of people, judges and code`),
    h("div", { class: "grid" }, scores.slice(0, 6).map(([name, one], nth) => [
      one.scored ? overTime(`${name}`, slices, [{ label: "Mean", values: meanOver(name), colour: colours[nth] }],
        { height: 130, format: one.isYesNo ? percent : decimal, note: `mean ${one.isYesNo ? percent(one.sum / one.scored) : decimal(one.sum / one.scored)} of ${whole(one.scored)}` + (one.failed ? `, ${whole(one.failed)} failed` : "") })
        : listOfBars(name, valuesOf(name).map(([value, count]) => ({ name: value, value: count, shown: whole(count), link: linkTo("feedback") })))])),
    tableOf("feedback", "Feedback", [
      { key: "time", head: "Turn", class: "time", value: one => F.time[one.trace], cell: one => h("a", { href: turnLink(one.trace) }, when(F.time[one.trace])) },
      { key: "name", head: "Name", cell: one => [data(one.name), one.isExpectation ? h("span", { class: "soft" }, " (expected)") : null] },
      { key: "value", head: "Value", class: "text", value: one => (Number.isNaN(scoreOf(one.value)) ? shownValue(one) : scoreOf(one.value)), cell: one => h("span", { class: one.error ? "clip bad" : "clip" }, data(shownValue(one))) },
      { key: "of", head: "Of a", cell: one => one.of },
      { key: "source", head: "By", cell: one => one.source.toLowerCase().replace("_", " ") },
      ...(about.texts ? [{ key: "reason", head: "Reason", plain: true, class: "text", cell: one => later("clip", async () => (await textsOf(one.trace))?.reasons[one.place]?.[1]) }] : []),
      { key: "user", head: "User", class: "id", value: one => F.users[F.user[one.trace]] || "", cell: one => userLinks(F.user[one.trace] >= 0 ? [F.users[F.user[one.trace]]] : []) },
    ], said, { sort: ["time", true] })];
}
