// SPDX-License-Identifier: Apache-2.0
// Tables of users, sessions, turns, errors and feedback; the page of one user.

const nothingFound = () => [h("h1", { class: "unseen" }, titleOf(view)), emptyState("No traces match", F.count ? "Widen the time, or take away a filter." : "The source had no traces for this report.",
  F.count && isFiltered() ? h("button", { type: "button", class: "strong", onclick: () => go(view.name, noFilter(), view.id) }, "Clear all filters") : null)];

// The means of the most frequent feedback, for columns of their own.
function meansBy(picked, groupOf) {
  const names = [...scoresOf(picked)].filter(([, one]) => one.scored).sort((a, b) => b[1].count - a[1].count).slice(0, 2).map(([name]) => name);
  if (names.length === 0) return { names, of: () => NaN };
  const mask = maskOf(picked), sums = names.map(() => new Map());
  for (const one of F.said) {
    const nth = names.indexOf(one.name), value = scoreOf(one.value);
    if (nth < 0 || one.isExpectation || !mask[one.trace] || Number.isNaN(value)) continue;
    const group = groupOf(one.trace);
    const [sum, count] = sums[nth].get(group) || [0, 0];
    sums[nth].set(group, [sum + value, count + 1]);
  }
  return { names, of: (nth, group) => { const found = sums[nth].get(group); return found ? found[0] / found[1] : NaN; } };
}

const figureColumns = [
  { key: "errors", head: "Errors", number: true, cell: row => (row.errors ? h("span", { class: "bad" }, whole(row.errors)) : h("span", { class: "soft" }, "0")) },
  { key: "rate", head: "Error rate", number: true, cell: row => rateBadge(row.rate) },
  { key: "p50", head: "p50", number: true, title: "Median duration of a turn", cell: row => span(row.p50) },
  { key: "p95", head: "p95", number: true, title: "95 of 100 turns were at least as fast", cell: row => span(row.p95) },
  { key: "tokens", head: "Tokens", number: true, cell: row => h("span", { title: `${whole(row.input)} in, ${whole(row.output)} out` }, brief(row.tokens)) },
  { key: "cost", head: "Cost", number: true, cell: row => money(row.cost) },
];
const scoreColumns = means => means.names.map((name, nth) => ({ key: "score" + nth, head: name, number: true, title: "Mean of this feedback", cell: row => decimal(row["score" + nth]) }));

function userRows(picked) {
  const of = groupsOf(picked, F.users.length, i => F.user[i]);
  const seen = new Set(), sessions = new Uint32Array(F.users.length);
  for (const i of picked) {
    if (F.user[i] < 0 || F.session[i] < 0) continue;
    const pair = F.user[i] * F.sessions.length + F.session[i];
    if (!seen.has(pair)) { seen.add(pair); sessions[F.user[i]]++; }
  }
  const rows = [];
  F.users.forEach((user, nth) => { if (of.turns[nth]) rows.push({ ...rowOf(of, nth), nth, user, sessions: sessions[nth] }); });
  return rows;
}

function usersView(picked) {
  if (picked.length === 0) return nothingFound();
  const rows = userRows(picked);
  const means = meansBy(picked, i => F.user[i]);
  for (const row of rows) means.names.forEach((_, nth) => { row["score" + nth] = means.of(nth, row.nth); });
  const slices = chosenSlices(picked, 24);
  let activity = null; // by user, computed for the first row
  const activityOf = user => {
    if (!activity) {
      activity = new Map();
      for (const i of picked) {
        if (F.user[i] < 0) continue;
        if (!activity.has(F.user[i])) activity.set(F.user[i], new Array(slices.count).fill(0));
        activity.get(F.user[i])[slices.at(F.time[i])]++;
      }
    }
    return activity.get(user);
  };
  const unnamed = picked.reduce((sum, i) => sum + (F.user[i] < 0 ? 1 : 0), 0);
  return [heading("Users", `${whole(rows.length)} users` + (unnamed ? `; ${whole(unnamed)} turns have no user` : "")),
    tableOf("users", "Users", [
      { key: "user", head: "User", class: "id", cell: row => h("a", { href: linkTo("user", filter, row.user) }, data(row.user)) },
      { key: "activity", head: "Activity", plain: true, cell: row => sparkline(activityOf(row.nth), "Turns over time, at most " + Math.max(...activityOf(row.nth)) + " in a slice") },
      { key: "sessions", head: "Sessions", number: true, cell: row => whole(row.sessions) },
      { key: "turns", head: "Turns", number: true, cell: row => whole(row.turns) },
      ...figureColumns, ...scoreColumns(means),
      { key: "first", head: "First seen", class: "time", cell: row => when(row.first) },
      { key: "last", head: "Last seen", class: "time", cell: row => when(row.last) },
    ], rows, { sort: ["turns", true], none: emptyState("No users", "The traces have no user. Record one with every trace, as mt::user.") })];
}

function sessionRows(picked) {
  const of = groupsOf(picked, F.sessions.length, i => F.session[i]);
  const users = new Map(), faults = new Map(), begins = new Map();
  for (const i of picked) {
    const session = F.session[i];
    if (session < 0) continue;
    if (!begins.has(session) || F.time[i] < F.time[begins.get(session)]) begins.set(session, i);
    if (F.user[i] >= 0) { if (!users.has(session)) users.set(session, new Set()); users.get(session).add(F.user[i]); }
    if (F.status[i] === ERROR && F.fault[i] >= 0) faults.set(session, F.fault[i]);
  }
  const rows = [];
  F.sessions.forEach((session, nth) => {
    if (!of.turns[nth]) return;
    const row = { ...rowOf(of, nth), nth, session, begin: begins.get(nth), users: [...(users.get(nth) || [])].map(user => F.users[user]) };
    row.user = row.users.join(", ");
    row.lasted = row.end - row.first;
    row.fault = faults.has(nth) ? F.faults[faults.get(nth)][1] || F.faults[faults.get(nth)][0] : "";
    rows.push(row);
  });
  return rows;
}

// An element that is filled once its block is decompressed.
function later(class_, fill) {
  const element = h("span", { class: class_ });
  fill().then(text => { element.replaceChildren(...(text ? [data(text)] : [h("span", { class: "soft" }, dash)])); });
  return element;
}
const firstLine = trace => later("clip", async () => (await textsOf(trace))?.request.slice(0, 200));
const userLinks = users => (users.length ? users.slice(0, 3).map((user, i) => [i ? ", " : "", h("a", { href: linkTo("user", filter, user) }, data(user))]).concat(users.length > 3 ? [` and ${users.length - 3} more`] : []) : h("span", { class: "soft" }, "no user"));

let sessionsShownLast = "sessions"; // the table from which one came
// The sessions before and after this one, as that table has them; by their last turn where there was none.
async function neighboursOf(session) {
  let rows = tableStates.get(sessionsShownLast)?.rows;
  if (!rows?.some(row => row.session === session)) rows = sessionRows(await pick(filter, () => {})).sort((a, b) => b.last - a.last);
  const at = rows.findIndex(row => row.session === session);
  return at < 0 ? null : { at, count: rows.length, before: rows[at - 1]?.session, after: rows[at + 1]?.session };
}

function sessionsTable(id, picked, withUser) {
  const rows = sessionRows(picked);
  const means = meansBy(picked, i => F.session[i]);
  for (const row of rows) means.names.forEach((_, nth) => { row["score" + nth] = means.of(nth, row.nth); });
  sessionsShownLast = id;
  return tableOf(id, "Sessions", [
    { key: "session", head: "Session", class: "id", cell: row => h("a", { href: linkTo("session", filter, row.session) }, data(row.session)) },
    ...(withUser ? [{ key: "user", head: "User", class: "id", cell: row => userLinks(row.users) }] : []),
    { key: "last", head: "Last turn", class: "time", cell: row => when(row.last) },
    ...(about.texts ? [{ key: "begin", head: "First question", plain: true, class: "text", cell: row => firstLine(row.begin) }] : []),
    { key: "turns", head: "Turns", number: true, cell: row => whole(row.turns) },
    figureColumns[0],
    { key: "fault", head: "Last error", class: "text", cell: row => (row.fault ? h("span", { class: "clip bad" }, data(row.fault)) : "") },
    { key: "lasted", head: "Lasted", number: true, cell: row => span(row.lasted) },
    ...figureColumns.slice(3), ...scoreColumns(means),
    { key: "first", head: "Began", class: "time", cell: row => when(row.first) },
  ], rows, { sort: ["last", true], none: emptyState("No sessions", "These traces have no session. Record one with every trace, as mt::session.") });
}
function sessionsView(picked) {
  if (picked.length === 0) return nothingFound();
  const single = picked.reduce((sum, i) => sum + (F.session[i] < 0 ? 1 : 0), 0);
  return [heading("Sessions", single ? `${whole(single)} turns belong to no session; they are among the turns` : null), sessionsTable("sessions", picked, true)];
}

const turnLink = i => linkTo(F.session[i] >= 0 ? "session" : "trace", filter, F.session[i] >= 0 ? F.sessions[F.session[i]] + "\n" + F.id[i] : F.id[i]);
function turnsTable(id, traces) {
  return tableOf(id, "Turns", [
    { key: "time", head: "Time", class: "time", value: i => F.time[i], cell: i => h("a", { href: turnLink(i) }, when(F.time[i])) },
    { key: "status", head: "Status", value: i => F.status[i], cell: i => badge(F.status[i]) },
    ...(about.texts ? [{ key: "request", head: "Question", plain: true, class: "text", cell: firstLine }, { key: "response", head: "Answer", plain: true, class: "text", cell: i => (F.status[i] === ERROR && F.fault[i] >= 0 ? h("span", { class: "clip bad" }, data(F.faults[F.fault[i]].join(": "))) : later("clip", async () => (await textsOf(i))?.response.slice(0, 200))) }] : []),
    { key: "user", head: "User", class: "id", value: i => F.users[F.user[i]] || "", cell: i => userLinks(F.user[i] >= 0 ? [F.users[F.user[i]]] : []) },
    { key: "session", head: "Session", class: "id", value: i => F.sessions[F.session[i]] || "", cell: i => (F.session[i] >= 0 ? h("a", { href: linkTo("session", filter, F.sessions[F.session[i]]) }, data(F.sessions[F.session[i]])) : "") },
    { key: "name", head: "Name", value: i => F.names[F.name[i]] || "", cell: i => data(F.names[F.name[i]] || "") },
    { key: "duration", head: "Duration", number: true, value: i => F.duration[i], cell: i => span(F.duration[i]) },
    { key: "tokens", head: "Tokens", number: true, value: i => F.input[i] + F.output[i], cell: i => brief(F.input[i] + F.output[i]) },
    { key: "cost", head: "Cost", number: true, value: i => F.cost[i], cell: i => money(F.cost[i]) },
  ].filter(column => column.key !== "name" || F.names.length), Array.from(traces), { sort: ["time", true] });
}
const turnsView = picked => (picked.length === 0 ? nothingFound() : [heading("Turns", "Each question with its answer: one trace"), turnsTable("turns", picked)]);

function userView(picked, user) {
  const nth = F.users.indexOf(user);
  const own = nth < 0 ? [] : picked.filter(i => F.user[i] === nth);
  const head = h("div", { class: "heading" }, h("p", { class: "crumbs" }, h("a", { href: linkTo("users") }, "Users")), h("h1", {}, data(user)));
  if (own.length === 0) return [head, nothingFound()[1]];
  const all = summaryOf(own), slices = chosenSlices(own, 48), of = sliced(own, slices);
  return [head,
    h("div", { class: "figures" }, figure("Sessions", whole(all.sessions)), figure("Turns", whole(all.turns), "since " + when(all.first).slice(0, 16)), figure("Error rate", percent(all.rate), whole(all.errors) + " failed"),
      figure("Latency p95", span(all.p95), "p50 " + span(all.p50)), figure("Tokens", brief(all.tokens)), figure("Cost", money(all.cost)),
      [...all.scores].slice(0, 2).map(([name, one]) => figure(name, one.scored ? (one.isYesNo ? percent(one.sum / one.scored) : decimal(one.sum / one.scored)) : dash, whole(one.count) + " times"))),
    overTime("Activity", slices, [{ label: "Turns", values: Array.from(of.turns), colour: "--blue", bars: true }, { label: "failed", values: Array.from(of.errors), colour: "--red", bars: true }], { height: 150 }),
    h("h2", {}, "Sessions"), sessionsTable("sessions of a user", own, false),
    own.some(i => F.session[i] < 0) ? [h("h2", {}, "Turns without a session"), turnsTable("turns of a user", own.filter(i => F.session[i] < 0))] : null];
}

function faultRows(picked) {
  const groups = faultGroups();
  const rows = groups.names.map(one => ({ ...one, failed: 0, recovered: 0, users: new Set(), sessions: new Set(), first: Infinity, last: -Infinity, latest: -1, times: [] }));
  const other = { name: "(no span has an error message)", label: "(no span has an error message)", example: "(no span has an error message)", span: "", failed: 0, recovered: 0, users: new Set(), sessions: new Set(), first: Infinity, last: -Infinity, latest: -1, times: [] };
  for (const i of picked) {
    if (F.fault[i] < 0 && F.status[i] !== ERROR) continue;
    const row = F.fault[i] < 0 ? other : rows[groups.of[F.fault[i]]];
    if (F.status[i] === ERROR) row.failed++; else row.recovered++;
    if (F.user[i] >= 0) row.users.add(F.user[i]);
    if (F.session[i] >= 0) row.sessions.add(F.session[i]);
    if (F.time[i] < row.first) row.first = F.time[i];
    if (F.time[i] >= row.last) { row.last = F.time[i]; row.latest = i; }
    row.times.push(F.time[i]);
  }
  return [...rows, other].filter(row => row.failed + row.recovered > 0);
}
function errorsView(picked) {
  if (picked.length === 0) return nothingFound();
  const rows = faultRows(picked), all = summaryOf(picked);
  if (rows.length === 0) return [heading("Errors"), emptyState("No errors", "None of these turns failed, and no span in them did.")];
  const slices = chosenSlices(picked, 24);
  const colours = ["--red", ...seriesColours];
  const top = [...rows].sort((a, b) => b.failed - a.failed).slice(0, 4);
  const wide = chosenSlices(picked, 60);
  const series = top.map((row, nth) => { const values = new Array(wide.count).fill(0); for (const time of row.times) values[wide.at(time)]++; return { label: row.label.slice(0, 60), values, colour: colours[nth] }; });
  return [heading("Errors", `${whole(all.errors)} of ${whole(all.turns)} turns failed, ${percent(all.rate)}. Messages that differ only in numbers are one group.`),
    overTime("Errors by cause", wide, series, { height: 170 }),
    tableOf("errors", "Causes of errors", [
      { key: "name", head: "Where and why", class: "cause", cell: row => [h("a", { href: row.name === "(no span has an error message)" ? linkTo("turns", { ...filter, status: "error" }) : linkTo("turns", { ...filter, fault: row.name }) }, data(row.label)), row.example !== row.label ? h("div", { class: "soft clip" }, data(row.example)) : null] },
      { key: "when", head: "When", plain: true, cell: row => { const counts = new Array(slices.count).fill(0); for (const time of row.times) counts[slices.at(time)]++; return sparkline(counts, "Over time", "bad"); } },
      { key: "failed", head: "Turns failed", number: true, cell: row => whole(row.failed) },
      { key: "recovered", head: "Went on", number: true, title: "A span failed, and the turn ended well all the same", cell: row => whole(row.recovered) },
      { key: "users", head: "Users", number: true, value: row => row.users.size, cell: row => whole(row.users.size) },
      { key: "sessions", head: "Sessions", number: true, value: row => row.sessions.size, cell: row => whole(row.sessions.size) },
      { key: "first", head: "First", class: "time", cell: row => when(row.first) },
      { key: "last", head: "Last", class: "time", cell: row => h("a", { href: turnLink(row.latest) }, when(row.last)) },
    ], rows, { sort: ["failed", true] }), whereErrorsAre(picked)];
}

// The values of keys with which traces fail more often than without: where to look first.
function whereErrorsAre(picked) {
  const found = [];
  for (const [key, column] of [["name", keyColumn("name")], ...F.keys]) {
    if (column.values.length < 2 || column.values.length > 200) continue;
    const of = groupsOf(picked, column.values.length, i => column.at[i]);
    const errors = of.errors.reduce((a, b) => a + b, 0), turns = of.turns.reduce((a, b) => a + b, 0);
    column.values.forEach((value, nth) => {
      const [n, hits] = [of.turns[nth], of.errors[nth]];
      if (n < 5 || hits < 3 || n === turns) return;
      const [low] = shareInterval(hits, n), [, high] = shareInterval(errors - hits, turns - n);
      if (low > high) found.push({ key, value, rate: hits / n, other: (errors - hits) / (turns - n), hits });
    });
  }
  found.sort((a, b) => b.rate / (b.other || 0.001) - a.rate / (a.other || 0.001));
  if (found.length === 0) return null;
  return card("Where turns fail more often", h("p", { class: "note" }, "Values whose error rate is above that of all others, beyond chance (95 % intervals apart)."),
    h("ul", { class: "bars" }, found.slice(0, 8).map(one => h("li", {}, h("a", { href: linkTo("errors", { ...filter, is: [...filter.is, [one.key, one.value]] }) }, data(one.key + " = " + one.value)),
      h("span", { class: "number" }, percent(one.rate), h("span", { class: "soft" }, ` against ${percent(one.other)}`)), h("span", { class: "track bad", "aria-hidden": "true" }, h("span", { style: { width: one.rate * 100 + "%" } }))))));
}
