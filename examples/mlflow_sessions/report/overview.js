// SPDX-License-Identifier: Apache-2.0
// The first view: traffic, errors, durations and cost.

const figure = (label, value, more, link) => h(link ? "a" : "div", { class: "figure", href: link }, h("span", { class: "label" }, label), h("span", { class: "value" }, value), h("span", { class: "more" }, more || " "));

// The period before the selected one, of the same length, for comparison.
async function before() {
  if (!filter.from) return null;
  const to = filter.to || F.last;
  const earlier = { ...filter, from: filter.from - (to - filter.from), to: filter.from - 1 };
  const picked = await pick(earlier, () => {});
  return picked.length ? summaryOf(picked) : null;
}
function changed(now, then, format, isShare) {
  if (isNone(now) || isNone(then) || (!isShare && then === 0)) return null;
  const by = isShare ? (now - then) * 100 : (now / then - 1) * 100;
  const text = (by >= 0 ? "+" : "−") + Math.abs(by).toFixed(Math.abs(by) < 10 ? 1 : 0) + (isShare ? " points" : " %");
  return `${text}, was ${format(then)}`;
}

function sliced(picked, slices) {
  return groupsOf(picked, slices.count, i => slices.at(F.time[i]));
}
function chosenSlices(picked, most) {
  let from = filter.from || Infinity, to = filter.to || -Infinity;
  for (const i of picked) {
    if (!filter.from && F.time[i] < from) from = F.time[i];
    if (!filter.to && F.time[i] > to) to = F.time[i];
  }
  return slicesOf(from, Math.max(from + 1000, to), most);
}
const orGap = (values, of) => Array.from(values, (value, i) => (of.turns[i] ? value : null));

async function overviewView(picked) {
  if (picked.length === 0) return nothingFound();
  const all = summaryOf(picked);
  const then = await before();
  const slices = chosenSlices(picked, Math.min(72, Math.max(18, Math.floor(document.documentElement.clientWidth / 18))));
  const of = sliced(picked, slices);
  const rows = Array.from({ length: slices.count }, (_, i) => rowOf(of, i));
  const users = new Array(slices.count).fill(0).map(() => new Set());
  for (const i of picked) if (F.user[i] >= 0) users[slices.at(F.time[i])].add(F.user[i]);
  const durations = groupsOf(picked, 1, () => 0).durations(0);
  const histogram = histogramOf(durations);
  const tokens = all.tokens;
  const scores = [...all.scores].sort((a, b) => b[1].count - a[1].count);

  return [
    h("h1", { class: "unseen" }, "Overview"),
    h("div", { class: "figures" },
      figure("Users", brief(all.users), changed(all.users, then?.users, brief) || (all.unnamed ? brief(all.unnamed) + " turns without" : ""), linkTo("users")),
      figure("Sessions", brief(all.sessions), changed(all.sessions, then?.sessions, brief) || decimal(all.turns / Math.max(1, all.sessions)) + " turns each", linkTo("sessions")),
      figure("Turns", brief(all.turns), changed(all.turns, then?.turns, brief) || (all.open ? whole(all.open) + " in progress" : ""), linkTo("turns")),
      figure("Error rate", percent(all.rate), changed(all.rate, then?.rate, percent, true) || whole(all.errors) + (all.errors === 1 ? " turn" : " turns") + " failed", linkTo("errors")),
      all.silent ? figure("No answer", whole(all.silent), changed(all.silent, then?.silent, whole) || "turns that did not fail", linkTo("turns", { ...filter, status: "silent" })) : null,
      figure("Latency p50", span(all.p50), changed(all.p50, then?.p50, span) || "p99 " + span(all.p99)),
      figure("Latency p95", span(all.p95), changed(all.p95, then?.p95, span)),
      figure("Tokens", brief(tokens), changed(tokens, then?.tokens, brief) || brief(all.input) + " in, " + brief(all.output) + " out"),
      figure("Cost", money(all.cost), changed(all.cost, then?.cost, money) || money(all.cost / Math.max(1, all.users)) + " a user"),
    ),
    h("div", { class: "grid" },
      h("div", { class: "wide" }, overTime("Activity", slices, [
        { label: "Turns", values: Array.from(of.turns), colour: "--blue", bars: true },
        { label: "failed", values: Array.from(of.errors), colour: "--red", bars: true }], { height: 220, note: "Drag over a part to choose that time." })),
      overTime("Latency", slices, [
        { label: "p50", values: orGap(rows.map(row => row.p50), of), colour: "--blue" },
        { label: "p95", values: orGap(rows.map(row => row.p95), of), colour: "--orange" },
        { label: "p99", values: orGap(rows.map(row => row.p99), of), colour: "--magenta", dash: [5, 4] }].map(one => ({ ...one, values: one.values.map(v => (Number.isNaN(v) ? null : v)) })), { format: span }),
      bars("Latency distribution", histogram.labels, [{ label: "Turns", values: histogram.counts, colour: "--blue", bars: true }],
        { note: `p50 ${span(all.p50)} · p95 ${span(all.p95)} · p99 ${span(all.p99)}` }),
      overTime("Error rate", slices, [{ label: "Error rate", values: orGap(rows.map(row => row.rate), of), colour: "--red", shade: true }], { format: percent }),
      overTime("Users", slices, [{ label: "Users", values: users.map(one => one.size), colour: "--teal", bars: true }]),
      tokens ? overTime("Tokens", slices, [
        { label: "Tokens", values: rows.map(row => row.tokens), colour: "--cyan", bars: true },
        { label: "of output", values: Array.from(of.output), colour: "--teal", bars: true }]) : null,
      all.cost ? overTime("Cost", slices, [{ label: "Cost", values: Array.from(of.cost), colour: "--teal", bars: true }], { format: money }) : null,
      all.errors ? topFaults(picked) : null,
      topUsers(picked),
      scores.length ? card("Feedback", h("ul", { class: "bars" }, scores.slice(0, 6).map(([name, one]) => scoreLine(name, one)))) : null,
    ),
  ];
}

function scoreLine(name, one) {
  const mean = one.scored ? one.sum / one.scored : NaN;
  return h("li", {}, h("a", { href: linkTo("feedback") }, data(name)), h("span", { class: "number" }, one.scored ? (one.isYesNo ? percent(mean) + " yes" : "mean " + decimal(mean)) : "", " ", h("span", { class: "soft" }, whole(one.count) + " times")),
    one.isYesNo && one.scored ? h("span", { class: "track", "aria-hidden": "true" }, h("span", { style: { width: mean * 100 + "%" } })) : null);
}

function listOfBars(title, items, more) {
  const most = Math.max(...items.map(one => one.value), 1e-12);
  return card(title, h("ul", { class: "bars" }, items.map(one => h("li", {}, h("a", { href: one.link, title: one.title }, data(one.name)), h("span", { class: "number" }, one.shown),
    h("span", { class: "track " + (one.class || ""), "aria-hidden": "true" }, h("span", { style: { width: one.value / most * 100 + "%" } }))))), more);
}

function topFaults(picked) {
  const groups = faultRows(picked).sort((a, b) => b.failed - a.failed).slice(0, 5);
  return listOfBars("What failed", groups.map(one => ({ name: one.label, title: one.example, value: one.failed, shown: whole(one.failed), class: "bad", link: linkTo("sessions", { ...filter, fault: one.name }) })),
    h("p", { class: "more" }, h("a", { href: linkTo("errors") }, "All errors")));
}
function topUsers(picked) {
  const by = summaryBy => userRows(picked).sort((a, b) => b[summaryBy] - a[summaryBy]).slice(0, 5);
  const isPriced = F.cost.some(cost => cost > 0);
  const key = isPriced ? "cost" : "turns";
  const rows = by(key);
  if (rows.length === 0) return null;
  return listOfBars(isPriced ? "Users by cost" : "Most active users", rows.map(one => ({ name: one.user, value: one[key], shown: isPriced ? money(one.cost) : whole(one.turns), link: linkTo("user", filter, one.user) })),
    h("p", { class: "more" }, h("a", { href: linkTo("users") }, "All users")));
}
