// SPDX-License-Identifier: Apache-2.0
// Creates elements and formats values. Recorded text is inserted as text, never as markup.

function h(tag, properties, ...children) {
  const svg = tag.startsWith("svg:");
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, set] of Object.entries(value)) element.style.setProperty(key, set);
    else if (name === "class" || name === "role" || name.includes("-") || svg || !(name in element)) element.setAttribute(name, value === true ? "" : value);
    else element[name] = value;
  }
  for (const child of children.flat(3)) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}
const put = (element, ...children) => { element.replaceChildren(...children.flat(3).filter(child => child)); return element; };
const byId = id => document.getElementById(id);
const announce = text => { byId("said").textContent = text; };

// ---- Numbers

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const dash = "–";
const isNone = value => value === null || value === undefined || Number.isNaN(value) || !Number.isFinite(value);

const whole = value => (isNone(value) ? dash : plain.format(value));
const brief = value => (isNone(value) ? dash : Math.abs(value) < 10000 ? plain.format(value) : short.format(value));
const percent = value => (isNone(value) ? dash : value === 0 ? "0 %" : (value * 100).toFixed(value < 0.1 ? 1 : 0) + " %");
const decimal = value => (isNone(value) ? dash : Number.isInteger(value) ? plain.format(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1));
function money(value) {
  if (isNone(value)) return dash;
  if (value === 0) return "$0";
  if (Math.abs(value) >= 1) return "$" + new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value);
  return "$" + (Math.abs(value) < 0.00001 ? value.toExponential(1) : value.toFixed(Math.abs(value) < 0.01 ? 5 : 3));
}
function span(ms) { // a duration
  if (isNone(ms)) return dash;
  if (ms === 0) return "0 ms";
  if (ms < 1) return (ms * 1000).toFixed(0) + " µs";
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 10000) return (ms / 1000).toFixed(2) + " s";
  if (ms < minute) return (ms / 1000).toFixed(1) + " s";
  if (ms < hour) return Math.floor(ms / minute) + " min " + String(Math.floor(ms / 1000) % 60).padStart(2, "0") + " s";
  if (ms < day) return Math.floor(ms / hour) + " h " + String(Math.floor(ms / minute) % 60).padStart(2, "0") + " min";
  return Math.floor(ms / day) + " d " + Math.floor(ms / hour) % 24 + " h";
}

// ---- Times

let isUtc = true;
const two = number => String(number).padStart(2, "0");
function partsOf(time) {
  const d = new Date(isUtc ? time : time - new Date(time).getTimezoneOffset() * minute);
  return { date: d.toISOString().slice(0, 10), clock: d.toISOString().slice(11, 19), ms: d.toISOString().slice(20, 23), month: d.getUTCMonth(), day: d.getUTCDate() };
}
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const when = time => { if (isNone(time)) return dash; const { date, clock } = partsOf(time); return date + " " + clock; };
const clock = time => partsOf(time).clock;
const dayOf = time => { const { day: nth, month } = partsOf(time); return nth + " " + months[month]; };
const inputTime = time => { const { date, clock: at } = partsOf(time); return date + "T" + at.slice(0, 5); };
const timeOfInput = text => { const utc = Date.parse(text + ":00Z"); return isUtc || Number.isNaN(utc) ? utc : utc + new Date(utc).getTimezoneOffset() * minute; };

// ---- Small parts

const data = text => h("bdi", { class: "data" }, text);
const badge = status => h("span", { class: "badge " + ["", "ok", "error", "open"][status] }, ["–", "OK", "Error", "In progress"][status]);
const rateBadge = rate => h("span", { class: rate > 0 ? (rate >= 0.1 ? "rate high" : "rate some") : "rate soft" }, percent(rate));
const emptyState = (title, text, ...more) => h("div", { class: "empty" },
  h("svg:svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, h("svg:path", { d: "M4 5h16v10H10l-4 4v-4H4z" })), h("p", { class: "title" }, title), h("p", {}, text), more);
const heading = (text, more) => h("div", { class: "heading" }, h("h1", {}, text), more ? h("p", {}, more) : null);
function card(title, ...children) {
  return h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);
}

function sparkline(values, label, mode) {
  const most = Math.max(...values, 1e-9), n = values.length;
  const bars = values.map((value, i) => value > 0 ? h("svg:rect", { x: i * 4, y: 20 - Math.max(1.5, value / most * 20), width: 3, height: Math.max(1.5, value / most * 20) }) : null);
  return h("svg:svg", { class: "spark " + (mode || ""), viewBox: `0 0 ${n * 4 - 1} 20`, preserveAspectRatio: "none", role: "img", "aria-label": label }, bars);
}
// A value with its confidence interval, on a scale from 0 to `most`.
function whisker(value, [low, high], most, label) {
  const x = of => Math.max(0, Math.min(100, of / (most || 1) * 100));
  if (isNone(value)) return h("span", {}, dash);
  return h("svg:svg", { class: "whisker", viewBox: "0 0 100 12", preserveAspectRatio: "none", role: "img", "aria-label": label },
    h("svg:rect", { class: "bar", x: 0, y: 2, width: Math.max(0.5, x(value)), height: 8 }),
    isNone(low) ? null : h("svg:line", { x1: x(low), x2: x(high), y1: 6, y2: 6 }));
}
async function copy(text, button) {
  try { await navigator.clipboard.writeText(text); announce("Copied"); }
  catch { window.prompt("Copy:", text); }
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1200);
}
