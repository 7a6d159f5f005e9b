// SPDX-License-Identifier: Apache-2.0
// Views and filters, controlled by the fragment of the URL: #/sessions?status=error&is.app.segment=pro

const views = [["overview", "Overview"], ["users", "Users"], ["sessions", "Sessions"], ["turns", "Turns"], ["errors", "Errors"], ["compare", "Compare"], ["feedback", "Feedback"]];
let view = { name: "overview", id: "" };

const isFiltered = (of = filter) => !!(of.text || of.user || of.session || of.status || of.fault || of.from || of.to || of.is.length);
function linkTo(name, of = filter, id = "") {
  const told = new URLSearchParams();
  for (const key of ["text", "user", "session", "status", "fault"]) if (of[key]) told.set(key, of[key]);
  for (const key of ["from", "to"]) if (of[key]) told.set(key, new Date(of[key]).toISOString());
  for (const [key, value] of of.is) told.append("is." + key, value);
  const query = told.toString();
  return "#/" + name + id.split("\n").map(part => (part ? "/" + encodeURIComponent(part) : "")).join("") + (query ? "?" + query : "");
}
function readAddress() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").map(part => { try { return decodeURIComponent(part); } catch { return part; } });
  const told = new URLSearchParams(query || "");
  const read = noFilter();
  for (const [key, value] of told) {
    if (key === "from" || key === "to") read[key] = Date.parse(value) || 0;
    else if (key.startsWith("is.")) read.is.push([key.slice(3), value]);
    else if (key in read && typeof read[key] === "string") read[key] = value;
  }
  if (read.status && !(read.status in statusNamed)) read.status = "";
  const known = [...views.map(([name]) => name), "user", "session", "trace"];
  return [{ name: known.includes(parts[0]) ? parts[0] : "overview", id: parts.slice(1).join("\n") }, read];
}
function go(name, to, id, isSame) {
  const link = linkTo(name, to, id);
  if (isSame || location.hash === link) show(); else location.hash = link;
}
const refine = changes => go(view.name, { ...filter, ...changes }, view.id);
const chooseRange = (from, to) => refine({ from: Math.max(1, Math.floor(from)), to: Math.ceil(to) });

// ---- Filters

function showFilters(picked) {
  const search = h("input", { type: "search", id: "search", placeholder: "Search what was said, users, IDs  ( / )", value: filter.text, "aria-label": "Search", onchange: event => refine({ text: event.target.value.trim() }) });
  const range = (label, key) => h("label", { class: "field" }, h("span", {}, label), h("input", { type: "datetime-local", value: filter[key] ? inputTime(filter[key]) : "", min: F.count ? inputTime(F.first) : undefined, onchange: event => refine({ [key]: timeOfInput(event.target.value) || 0 }) }));
  const lasts = [["", "All time"], [hour, "Last hour"], [day, "Last 24 hours"], [7 * day, "Last 7 days"], [30 * day, "Last 30 days"], ["own", "From … to"]].filter(([length]) => typeof length !== "number" || length < F.last - F.first);
  const chosen = !filter.from && !filter.to ? "" : !filter.to ? String(lasts.find(([length]) => typeof length === "number" && Math.abs(F.last - length - filter.from) < 1000)?.[0] ?? "own") : "own";
  const times = h("select", { "aria-label": "Time", onchange: event => {
    const told = event.target.value;
    if (told === "own") refine({ from: filter.from || F.first, to: filter.to || F.last });
    else refine({ from: told ? F.last - Number(told) : 0, to: 0 });
  } }, lasts.map(([value, text]) => h("option", { value, selected: String(value) === chosen }, text)));
  const statuses = h("select", { "aria-label": "Status", onchange: event => refine({ status: event.target.value }) },
    [["", "Any status"], ["ok", "OK"], ["error", "Failed"], ["silent", "No answer"], ["open", "In progress"]].map(([value, text]) => h("option", { value, selected: filter.status === value }, text)));
  const keys = ["user", "session", ...(F.names.length ? ["name"] : []), ...(F.users.length ? ["first week"] : []), ...F.keys.keys()];
  const values = h("datalist", { id: "values" });
  const value = h("input", { type: "text", "aria-label": "Value of the key", placeholder: "value", autocomplete: "off" });
  value.setAttribute("list", "values");
  const key = h("input", { type: "text", "aria-label": "Key to filter by", placeholder: "key", autocomplete: "off", oninput: () => {
    const found = key.value === "session" ? F.sessions : keyColumn(key.value)?.values || [];
    put(values, found.slice(0, 300).map(one => h("option", { value: one })));
  } });
  key.setAttribute("list", "keys");
  const add = h("form", { class: "add", onsubmit: event => {
    event.preventDefault();
    const [name, wanted] = [key.value.trim(), value.value];
    if (!name || !wanted) { (name ? value : key).focus(); return; }
    refine(name === "user" || name === "session" ? { [name]: wanted } : { is: [...filter.is.filter(([of]) => of !== name), [name, wanted]] });
  } }, key, h("datalist", { id: "keys" }, keys.map(one => h("option", { value: one }))), h("span", { "aria-hidden": "true" }, "="), value, values, h("button", { type: "submit" }, "Add"));
  const chip = (text, without) => h("span", { class: "chip" }, data(text), h("button", { type: "button", "aria-label": "Remove the filter " + text, onclick: () => refine(without) }, "×"));
  const chips = [
    filter.text ? chip(`“${filter.text}”`, { text: "" }) : null, filter.user ? chip("user = " + filter.user, { user: "" }) : null, filter.session ? chip("session = " + filter.session, { session: "" }) : null,
    filter.status ? chip("status = " + filter.status, { status: "" }) : null, filter.fault ? chip("error = " + (faultGroups().names[faultGroups().get(filter.fault)]?.label ?? filter.fault), { fault: "" }) : null,
    filter.from || filter.to ? chip(`${filter.from ? when(filter.from).slice(0, 16) : "…"} – ${filter.to ? when(filter.to).slice(0, 16) : "now"}`, { from: 0, to: 0 }) : null,
    ...filter.is.map(([name, wanted], nth) => chip(name + " = " + wanted, { is: filter.is.filter((_, i) => i !== nth) }))].filter(Boolean);
  const isOwn = chosen === "own";
  put(byId("filters"), h("div", { class: "row" }, search, times, isOwn ? [range("From", "from"), range("to", "to")] : null, statuses, add),
    chips.length ? h("div", { class: "row chips" }, chips, h("button", { type: "button", class: "quiet", onclick: () => go(view.name, noFilter(), view.id) }, "Clear all"), h("span", { class: "count" }, `${whole(picked.length)} of ${whole(F.count)} turns`)) : null);
}

// ---- The page

const titleOf = of => views.find(([name]) => name === of.name)?.[1] ?? of.id.split("\n")[0];
// Restores the keyboard focus after the elements have been replaced.
const markOf = element => element && [element.localName, element.id, element.getAttribute("aria-label"), element.closest("label")?.firstChild.textContent].join("|");
function focusAgain(mark) {
  if (!mark || document.activeElement !== document.body) return;
  const [name] = mark.split("|");
  [...document.querySelectorAll(name)].find(one => markOf(one) === mark)?.focus({ preventScroll: true });
}

let shownLast = 0;
async function show() {
  const mine = ++shownLast;
  const before = view;
  [view, filter] = readAddress();
  const main = byId("main");
  const slow = setTimeout(() => put(main, h("p", { class: "loading" }, "Searching…")), 400);
  let picked = F.all, content;
  try {
    picked = await pick(filter, share => { const line = main.querySelector(".loading"); if (line) line.textContent = `Searching… ${percent(share)}`; });
    const make = { overview: overviewView, users: usersView, sessions: sessionsView, turns: turnsView, errors: errorsView, compare: compareView, feedback: feedbackView, user: () => userView(picked, view.id), session: () => sessionView(view.id), trace: () => traceView(view.id) }[view.name];
    if (mine !== shownLast) return;
    content = await make(picked);
  } catch (error) {
    console.error(error);
    content = emptyState("This view cannot be shown", String(error));
  } finally {
    clearTimeout(slow);
  }
  if (mine !== shownLast) return;
  const focused = ["INPUT", "SELECT"].includes(document.activeElement?.tagName) ? markOf(document.activeElement) : null;
  forgetCharts();
  showFilters(picked);
  byId("filters").hidden = view.name === "session" || view.name === "trace";
  put(main, content);
  const current = { user: "users", session: "sessions", trace: "turns" }[view.name] || view.name;
  put(byId("views"), views.map(([name, label]) => h("a", { href: linkTo(name), "aria-current": name === current ? "page" : undefined }, label)));
  const title = titleOf(view);
  document.title = title + " · " + (about.experiment || "Sessions");
  const isElsewhere = before.name !== view.name || before.id.split("\n")[0] !== view.id.split("\n")[0];
  if (isElsewhere && !view.id.includes("\n")) scrollTo(0, 0); // a link to a turn scrolls to it
  announce(`${title}, ${whole(picked.length)} turns`);
  focusAgain(focused);
  document.documentElement.dataset.ready = view.name;
}

function showSwitches() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const remember = (key, value) => { try { localStorage.setItem("mlflow_sessions." + key, value); } catch { /* a page opened from a file may have no storage */ } };
  const recall = key => { try { return localStorage.getItem("mlflow_sessions." + key); } catch { return null; } };
  const label = () => { byId("theme").textContent = isDark() ? "Light theme" : "Dark theme"; byId("zone").textContent = isUtc ? "Local times" : "Times in UTC"; };
  if (recall("theme")) document.documentElement.dataset.theme = recall("theme");
  isUtc = recall("zone") !== "local";
  byId("theme").addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; remember("theme", document.documentElement.dataset.theme); label(); redraw(); });
  byId("zone").addEventListener("click", () => { isUtc = !isUtc; remember("zone", isUtc ? "utc" : "local"); label(); show(); });
  system.addEventListener("change", () => { label(); redraw(); });
  let before; // prints with the light theme
  addEventListener("beforeprint", () => { before = document.documentElement.dataset.theme; document.documentElement.dataset.theme = "light"; redraw(); });
  addEventListener("afterprint", () => { if (before) document.documentElement.dataset.theme = before; else delete document.documentElement.dataset.theme; redraw(); });
  label();
}

async function start() {
  const source = about.experiment || about.source.split("/").pop() || about.source;
  put(byId("source"), h("strong", {}, data(source)), about.filters.length ? [" ", h("span", { class: "soft" }, data(about.filters.join(" ")))] : null);
  byId("source").title = about.source;
  showSwitches();
  readFigures(await unpack(document.querySelector("[data-block=figures]")));
  put(byId("footer"), h("p", {}, `${whole(F.count)} traces of `, data(about.source), `, read ${when(about.made)} ${isUtc ? "UTC" : ""}. All of it is in this file, which sends nothing anywhere.`));
  byId("skip").addEventListener("click", event => { event.preventDefault(); byId("main").focus(); });
  addEventListener("hashchange", show);
  addEventListener("keydown", event => {
    const step = { j: "next", k: "prev" }[event.key];
    if (step && !event.ctrlKey && !event.metaKey && !event.altKey && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement?.tagName)) document.querySelector(`.steps [rel=${step}]`)?.click();
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(document.activeElement?.tagName)) return;
    event.preventDefault();
    byId("search")?.focus();
  });
  await show();
}
start().catch(error => { put(byId("main"), emptyState("This page cannot be shown", String(error))); throw error; });
