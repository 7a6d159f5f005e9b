// SPDX-License-Identifier: Apache-2.0
// Sums, percentiles and groups of the selected traces.

const OK = 1, ERROR = 2, IN_PROGRESS = 3;
const STATUS = ["no status", "OK", "ERROR", "IN PROGRESS"];
const minute = 60000, hour = 60 * minute, day = 24 * hour;

let F = null; // the numbers of all traces

function readFigures(told) {
  const count = told.id.length;
  const time = new Float64Array(count);
  let at = 0;
  told.time.forEach((delta, i) => { time[i] = at += delta; });
  const numbers = list => Float64Array.from(list, value => (value === null ? NaN : value));
  F = {
    count, time, id: told.id,
    duration: numbers(told.duration), cost: numbers(told.cost),
    input: numbers(told.input), output: numbers(told.output), cached: numbers(told.cached),
    status: Uint8Array.from(told.status),
    user: Int32Array.from(told.user), session: Int32Array.from(told.session), name: Int32Array.from(told.name),
    experiment: Int32Array.from(told.experiment), fault: Int32Array.from(told.fault), silent: new Uint8Array(count),
    users: told.users, sessions: told.sessions, names: told.names, experiments: told.experiments, faults: told.faults,
    said: (told.said || []).map(([trace, name, value, expected, source, of, error], nth) =>
      ({ trace, name, value, isExpectation: expected === 1, source, of: ["turn", "span", "session"][of], error, nth })),
    keys: new Map(told.keys.map(({ key, values, at: which }) => [key, { values, at: Int32Array.from(which) }])),
  };
  for (const i of told.silent || []) F.silent[i] = 1; // ended well, without an answer
  F.saidOf = new Map();
  for (const one of F.said) {
    if (!F.saidOf.has(one.trace)) F.saidOf.set(one.trace, []);
    one.place = F.saidOf.get(one.trace).length; // index among the feedback of its trace
    F.saidOf.get(one.trace).push(one);
  }
  F.byTime = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => time[a] - time[b] || a - b);
  F.first = count ? time[F.byTime[0]] : 0;
  F.last = count ? time[F.byTime[count - 1]] : 0;
  F.all = Uint32Array.from({ length: count }, (_, i) => i);
}

const scoreOf = value => (typeof value === "number" ? value : value === true ? 1 : value === false ? 0 : NaN);

// Interpolates linearly between two values, as NumPy and pandas do. `sorted` must not contain NaN.
function percentile(sorted, percent) {
  if (sorted.length === 0) return NaN;
  const place = (sorted.length - 1) * percent / 100;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

const fieldCount = { turns: 1, errors: 1, input: 1, output: 1, cost: 1 };
// One row per group: `groupOf(trace)` is its number, below `groups`; a negative number means no group.
function groupsOf(picked, groups, groupOf) {
  const of = {};
  for (const name in fieldCount) of[name] = new Float64Array(groups);
  of.first = new Float64Array(groups).fill(Infinity);
  of.last = new Float64Array(groups).fill(-Infinity);
  of.end = new Float64Array(groups).fill(-Infinity);
  const timed = new Uint32Array(groups + 1);
  for (const i of picked) {
    const group = groupOf(i);
    if (group < 0) continue;
    of.turns[group]++;
    if (F.status[i] === ERROR) of.errors[group]++;
    of.input[group] += F.input[i];
    of.output[group] += F.output[i];
    of.cost[group] += F.cost[i];
    const time = F.time[i];
    if (time < of.first[group]) of.first[group] = time;
    if (time > of.last[group]) of.last[group] = time;
    const end = time + (F.duration[i] || 0);
    if (end > of.end[group]) of.end[group] = end;
    if (F.duration[i] >= 0) timed[group + 1]++;
  }
  for (let group = 0; group < groups; ++group) timed[group + 1] += timed[group];
  const durations = new Float64Array(timed[groups]);
  const next = timed.slice();
  for (const i of picked) {
    const group = groupOf(i);
    if (group >= 0 && F.duration[i] >= 0) durations[next[group]++] = F.duration[i];
  }
  of.durations = group => durations.subarray(timed[group], timed[group + 1]);
  for (let group = 0; group < groups; ++group) of.durations(group).sort();
  return of;
}

function rowOf(of, group) {
  const durations = of.durations(group);
  const turns = of.turns[group];
  return {
    turns, errors: of.errors[group], rate: turns ? of.errors[group] / turns : 0,
    p50: percentile(durations, 50), p95: percentile(durations, 95), p99: percentile(durations, 99),
    input: of.input[group], output: of.output[group], tokens: of.input[group] + of.output[group], cost: of.cost[group],
    first: of.first[group], last: of.last[group], end: of.end[group],
  };
}

function summaryOf(picked) {
  const row = rowOf(groupsOf(picked, 1, () => 0), 0);
  const users = new Set(), sessions = new Set();
  row.unnamed = 0; // turns without a user
  row.open = 0; // not ended
  row.silent = 0;
  for (const i of picked) {
    if (F.user[i] >= 0) users.add(F.user[i]); else row.unnamed++;
    if (F.session[i] >= 0) sessions.add(F.session[i]);
    if (F.status[i] === IN_PROGRESS) row.open++;
    row.silent += F.silent[i];
  }
  row.users = users.size;
  row.sessions = sessions.size;
  row.scores = scoresOf(picked);
  return row;
}

// Feedback by name: the count, and the mean of numbers, true (1) and false (0).
function scoresOf(picked) {
  const scores = new Map();
  if (F.said.length === 0) return scores;
  const isPicked = picked.length === F.count ? null : maskOf(picked);
  for (const one of F.said) {
    if (one.isExpectation || (isPicked && !isPicked[one.trace])) continue;
    if (!scores.has(one.name)) scores.set(one.name, { count: 0, scored: 0, sum: 0, squares: 0, failed: 0, isYesNo: true });
    const score = scores.get(one.name);
    score.count++;
    if (one.error) score.failed++;
    const value = scoreOf(one.value);
    if (Number.isNaN(value)) continue;
    score.scored++;
    score.sum += value;
    score.squares += value * value;
    if (typeof one.value !== "boolean") score.isYesNo = false;
  }
  return scores;
}

function maskOf(picked) {
  const mask = new Uint8Array(F.count);
  for (const i of picked) mask[i] = 1;
  return mask;
}

// Wilson's 95 % interval of a rate.
function shareInterval(hits, count) {
  if (count === 0) return [0, 1];
  const z = 1.959964, share = hits / count, d = 1 + z * z / count;
  const middle = (share + z * z / (2 * count)) / d;
  const half = z / d * Math.sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
function meanInterval({ scored, sum, squares, isYesNo }) {
  if (isYesNo) return shareInterval(sum, scored);
  if (scored < 2) return [NaN, NaN];
  const mean = sum / scored;
  const half = 1.96 * Math.sqrt(Math.max(0, squares / scored - mean * mean) / (scored - 1));
  return [mean - half, mean + half];
}
// The 95 % interval of a percentile, by ranks (binomial).
function percentileInterval(sorted, percent) {
  const n = sorted.length;
  if (n < 8) return [NaN, NaN];
  const p = percent / 100, half = 1.96 * Math.sqrt(n * p * (1 - p));
  return [sorted[Math.max(0, Math.floor(n * p - half))], sorted[Math.min(n - 1, Math.ceil(n * p + half))]];
}

// Time slices: at most `most`, of a usual length such as 5 minutes.
function slicesOf(from, to, most = 60) {
  const lengths = [1000, 5000, 15000, minute, 5 * minute, 15 * minute, 30 * minute, hour, 3 * hour, 6 * hour, 12 * hour, day, 7 * day, 28 * day];
  const length = lengths.find(one => (to - from) / one <= most) || 28 * day * Math.ceil((to - from) / (28 * day * most));
  const begin = Math.floor(from / length) * length;
  const count = Math.max(1, Math.floor((to - begin) / length) + 1);
  return { begin, length, count, at: time => Math.floor((time - begin) / length), starts: Array.from({ length: count }, (_, i) => begin + i * length) };
}

// ---- Filters

const noFilter = () => ({ text: "", user: "", session: "", status: "", fault: "", from: 0, to: 0, is: [] });
let filter = noFilter();

const SILENT = -1; // ended well, without an answer
const statusNamed = { ok: OK, error: ERROR, open: IN_PROGRESS, silent: SILENT };
// What keys can be compared and chosen, with those that every trace has.
function keyColumn(key) {
  if (key === "name") return { values: F.names, at: F.name };
  if (key === "user") return { values: F.users, at: F.user };
  if (key === "first week") return cohorts();
  return F.keys.get(key);
}
let weeks = null;
function cohorts() { // users by the week of their first trace
  if (weeks) return weeks;
  const first = new Float64Array(F.users.length).fill(Infinity);
  for (let i = 0; i < F.count; ++i) if (F.user[i] >= 0) first[F.user[i]] = Math.min(first[F.user[i]], F.time[i]);
  const monday = time => Math.floor((time / day + 3) / 7) * 7 * day - 3 * day;
  const starts = [...new Set(Array.from(first, monday))].sort((a, b) => a - b);
  const place = new Map(starts.map((start, i) => [start, i]));
  weeks = {
    values: starts.map(start => "from " + new Date(start).toISOString().slice(0, 10)),
    at: Int32Array.from(F.user, user => (user < 0 ? -1 : place.get(monday(first[user])))),
  };
  return weeks;
}

async function pick(wanted, onProgress) {
  const tests = [];
  const ofTexts = (texts, text) => texts.indexOf(text);
  if (wanted.user) { const user = ofTexts(F.users, wanted.user); tests.push(i => user >= 0 && F.user[i] === user); }
  if (wanted.session) { const session = ofTexts(F.sessions, wanted.session); tests.push(i => session >= 0 && F.session[i] === session); }
  if (wanted.status) { const status = statusNamed[wanted.status]; tests.push(status === SILENT ? i => F.silent[i] === 1 : i => F.status[i] === status); }
  if (wanted.from) tests.push(i => F.time[i] >= wanted.from);
  if (wanted.to) tests.push(i => F.time[i] <= wanted.to);
  if (wanted.fault) { const group = faultGroups().get(wanted.fault); tests.push(i => F.fault[i] >= 0 && group === faultGroups().of[F.fault[i]]); }
  for (const [key, value] of wanted.is) {
    const column = keyColumn(key);
    const number = column ? column.values.indexOf(value) : -1;
    if (column) tests.push(i => number >= 0 && column.at[i] === number);
    else if (about.texts) { // a key with many values: only the texts contain it
      const holds = new Uint8Array(F.count);
      for (let i = 0; i < F.count; ++i) {
        const { metadata, tags } = await textsOf(i);
        holds[i] = metadata[key] === value || ("tag." + key in tags && tags[key] === value) || (key.startsWith("tag.") && tags[key.slice(4)] === value) ? 1 : 0;
      }
      tests.push(i => holds[i] === 1);
    } else tests.push(() => false);
  }
  if (wanted.text) {
    const text = wanted.text.toLowerCase();
    const users = F.users.map(one => one.toLowerCase().includes(text));
    const sessions = F.sessions.map(one => one.toLowerCase().includes(text));
    const names = F.names.map(one => one.toLowerCase().includes(text));
    const faults = F.faults.map(one => one.join(" ").toLowerCase().includes(text));
    const said = await searchTexts(F.count, onProgress);
    tests.push(i => users[F.user[i]] || sessions[F.session[i]] || names[F.name[i]] || faults[F.fault[i]] || said[i].includes(text) || F.id[i].includes(text));
  }
  if (tests.length === 0) return F.all;
  return F.all.filter(i => tests.every(test => test(i)));
}

// Errors whose messages differ only in numbers form one group.
let faultNames = null;
function faultGroups() {
  if (faultNames) return faultNames;
  faultNames = new Map();
  faultNames.names = [];
  faultNames.of = F.faults.map(([span, message]) => {
    const line = message.split("\n")[0].slice(0, 200);
    const full = (span ? span + ": " : "") + (line || "failed without a message");
    const name = full.replace(/\b(0x)?[0-9a-f]*\d[0-9a-f]*\b/gi, "#");
    const known = faultNames.get(name);
    if (known === undefined) { faultNames.set(name, faultNames.names.length); faultNames.names.push({ name, label: full, example: full, span }); }
    else if (faultNames.names[known].label !== full) faultNames.names[known].label = name;
    return faultNames.get(name);
  });
  return faultNames;
}
