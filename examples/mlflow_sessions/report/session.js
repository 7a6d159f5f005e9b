// SPDX-License-Identifier: Apache-2.0
// A session as a conversation: questions and answers, tool calls, and the spans of a turn.

// ---- Messages in the inputs and outputs of a span

function parsed(text) {
  if (typeof text !== "string" || !/^\s*[[{"]/.test(text)) return text;
  try { return JSON.parse(text); } catch { return text; }
}
// Applications record any JSON in any place of a message; what is shown of it is always text.
function textOf(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  try { return JSON.stringify(value, null, 2); } catch { return "(nested too deeply to be shown)"; }
}
const isObject = value => !!value && typeof value === "object" && !Array.isArray(value);
function textOfPart(part) {
  if (!isObject(part)) return typeof part === "string" ? part : "[part]";
  const isOfTool = part.type === "tool_use" || part.type === "tool_result";
  return textOf(part.text ?? part.content ?? (isOfTool ? "" : `[${textOf(part.type) || "part"}]`));
}
function textOfContent(content) {
  if (Array.isArray(content)) return content.map(textOfPart).filter(Boolean).join("\n");
  return textOf(isObject(content) ? content.text ?? content.content ?? content : content);
}
const callOf = call => ({ name: textOf(call.function?.name ?? call.name) || "tool", input: call.function?.arguments ?? call.args ?? call.arguments ?? call.input });
function messageOf(one) {
  const calls = (Array.isArray(one.tool_calls) ? one.tool_calls : []).filter(isObject).map(callOf);
  for (const part of Array.isArray(one.content) ? one.content : []) if (part?.type === "tool_use") calls.push(callOf({ name: part.name, input: part.input }));
  return { role: textOf(one.role ?? one.type).replace("human", "user").replace(/^ai$|^model$/, "assistant"), text: textOfContent(one.content ?? one.parts ?? one.text), calls };
}
const isMessage = one => one && typeof one === "object" && ("role" in one || "type" in one) && ("content" in one || "parts" in one || "tool_calls" in one);
// The messages in the inputs or outputs of a span; null if there are none.
function messagesIn(value, depth = 0) {
  value = parsed(value);
  if (!value || typeof value !== "object" || depth > 3) return null;
  if (Array.isArray(value)) {
    if (value.length && value.every(isMessage)) return value.map(messageOf);
    return value.length === 1 ? messagesIn(value[0], depth + 1) : null;
  }
  if (Array.isArray(value.choices) && isObject(value.choices[0]?.message)) return value.choices.filter(one => isObject(one?.message)).map(one => messageOf({ role: "assistant", ...one.message }));
  for (const key of ["messages", "input", "output", "request", "contents", "message"])
    if (value[key] && typeof value[key] === "object") { const found = messagesIn(value[key], depth + 1); if (found) return found; }
  return isMessage(value) ? [messageOf(value)] : null;
}
function plainText(value) {
  value = parsed(value);
  if (typeof value === "string") return value;
  if (value && typeof value === "object" && !Array.isArray(value))
    for (const key of ["message", "question", "query", "prompt", "input", "text", "answer", "response", "output", "content", "result"]) if (typeof value[key] === "string") return value[key];
  return null;
}
const lastOf = (messages, role) => messages?.filter(one => one.role === role && one.text).at(-1)?.text ?? messages?.filter(one => one.text).at(-1)?.text;

// Renders paragraphs, lists, code and emphasis of Markdown; HTML in the text is not interpreted.
function prose(text) {
  const out = [];
  const inline = line => line.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)/).map(part =>
    part.length > 2 && part.startsWith("`") && part.endsWith("`") ? h("code", {}, part.slice(1, -1))
      : part.length > 4 && part.startsWith("**") && part.endsWith("**") ? h("strong", {}, part.slice(2, -2))
        : part.length > 2 && part.startsWith("*") && part.endsWith("*") ? h("em", {}, part.slice(1, -1)) : part);
  let list = null;
  text.split(/(```[\s\S]*?(?:```|$))/).forEach(part => {
    if (part.startsWith("```")) { list = null; out.push(h("pre", { tabindex: 0 }, part.replace(/^```[^\n]*\n?/, "").replace(/\n?```$/, ""))); return; }
    for (const block of part.split("\n")) {
      const item = /^\s*(?:[-*•]|(\d+)[.)])\s+(.*)$/.exec(block);
      if (item) {
        const kind = item[1] ? "ol" : "ul";
        if (!list || list.localName !== kind) out.push(list = h(kind, {}));
        list.append(h("li", {}, inline(item[2])));
      } else if (block.trim()) {
        list = null;
        const title = /^#{1,6}\s+(.*)$/.exec(block);
        out.push(h("p", {}, title ? h("strong", {}, title[1]) : inline(block)));
      }
    }
  });
  return out;
}
const bubble = (role, label, ...content) => h("div", { class: "bubble " + role }, h("span", { class: "who" }, label), h("div", { class: "words", dir: "auto" }, content));

// ---- Spans

const attributeOf = (one, ...keys) => { for (const key of keys) { const found = one.attributes.find(([name]) => name === key); if (found) return found[1]; } return ""; };
function kindOf(one) {
  const kind = attributeOf(one, "mlflow.spanType", "openinference.span.kind", "traceloop.span.kind", "gen_ai.operation.name").toUpperCase();
  if (/TOOL/.test(kind)) return "tool";
  if (/CHAT|LLM|COMPLETION/.test(kind)) return "model";
  if (/RETRIEV/.test(kind)) return "retriever";
  if (/EMBED/.test(kind)) return "embedding";
  if (/AGENT/.test(kind)) return "agent";
  return kind && kind !== "UNKNOWN" ? kind.toLowerCase() : "span";
}
function inTree(spans) {
  const ids = new Set(spans.map(one => one.id)), below = new Map();
  for (const one of spans) {
    const parent = ids.has(one.parent) && one.parent !== one.id ? one.parent : "";
    if (!below.has(parent)) below.set(parent, []);
    below.get(parent).push(one);
  }
  const out = [], seen = new Set();
  const open = [(below.get("") || []).values()]; // one level each; no recursion, because spans may be nested deeply
  while (open.length) {
    const { done, value: one } = open.at(-1).next();
    if (done) open.pop();
    else if (!seen.has(one)) {
      seen.add(one);
      out.push({ one, depth: open.length - 1 });
      open.push((below.get(one.id) || []).values());
    }
  }
  for (const one of spans) if (!seen.has(one)) out.push({ one, depth: 0 }); // a cycle of parents
  return out;
}

function json(text) {
  return h("pre", { class: "json", tabindex: 0, dir: "auto" }, textOf(parsed(text)));
}
function spoken(title, text) {
  if (!text) return null;
  const messages = messagesIn(text);
  return h("section", {}, h("h4", {}, title), messages ? messages.map(one => bubble(one.role === "user" ? "user" : one.role === "assistant" ? "assistant" : "other", one.role || "message",
    prose(one.text), one.calls.map(call => h("div", { class: "call" }, h("span", { class: "kind tool" }, "tool"), " ", data(call.name), call.input ? json(call.input) : null)))) : json(text));
}
function spanDetails(one) {
  const tokens = attributeOf(one, "mlflow.chat.tokenUsage");
  return h("div", { class: "details" },
    h("h3", {}, h("span", { class: "kind " + kindOf(one) }, kindOf(one)), " ", data(one.name || "(no name)")),
    h("p", { class: "soft" }, span((one.end - one.start) / 1000) + " · " + when(one.start / 1000), tokens ? " · " : "", tokens ? data(tokensText(tokens)) : null),
    one.failed ? h("div", { class: "fault", role: "note" }, h("strong", {}, "Failed"), " ", data(one.message || "without a message")) : null,
    one.events.map(event => eventDetails(event, one)),
    spoken("Input", one.inputs), spoken("Output", one.outputs),
    one.attributes.length ? h("details", {}, h("summary", {}, `Attributes (${one.attributes.length})`), h("dl", { class: "pairs" }, one.attributes.map(([key, value]) => [h("dt", {}, data(key)), h("dd", {}, data(value))]))) : null);
}
// An exception as its type, what it says and where it came from; another event with what it carries.
function eventDetails(event, one) {
  const said = key => event.attributes.find(([name]) => name === key)?.[1] ?? "";
  const isException = event.name === "exception";
  const rest = event.attributes.filter(([key]) => !isException || !/^exception\.(type|message|stacktrace)$/.test(key));
  const stack = said("exception.stacktrace");
  return h("section", { class: "event" + (isException ? " exception" : "") },
    h("h4", {}, isException ? "Exception" : "Event", " ", h("span", { class: "soft" }, "after " + span((event.at - one.start) / 1000))),
    isException ? h("p", {}, h("strong", {}, data(said("exception.type") || "without a type")), said("exception.message") ? [": ", data(said("exception.message"))] : null) : h("p", {}, data(event.name || "(no name)")),
    stack ? h("details", { open: one.failed }, h("summary", {}, "Stack trace"), h("pre", { class: "json", tabindex: 0, dir: "ltr" }, stack)) : null,
    rest.length ? h("dl", { class: "pairs" }, rest.map(([key, value]) => [h("dt", {}, data(key)), h("dd", {}, data(value))])) : null);
}
function tokensText(text) {
  const told = parsed(text);
  return told && typeof told === "object" ? [["input_tokens", "in"], ["output_tokens", "out"]].filter(([key]) => key in told).map(([key, name]) => whole(told[key]) + " " + name).join(", ") + " tokens" : String(text);
}

function waterfall(trace, spans, texts) {
  if (spans.length === 0) return [h("p", { class: "soft" }, "No spans are stored for this trace.")];
  const begin = spans.reduce((least, one) => Math.min(least, one.start), Infinity);
  const end = spans.reduce((most, one) => Math.max(most, one.end), begin + 1);
  const place = h("div", { class: "inspector", "aria-live": "polite" });
  const rows = inTree(spans);
  const buttons = rows.map(({ one, depth }, nth) => h("button", { type: "button", class: "bar-row" + (one.failed ? " failed" : ""), "aria-pressed": "false", onclick: () => choose(nth), onkeydown: event => {
    const to = { ArrowDown: nth + 1, ArrowUp: nth - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[to].focus();
    choose(to);
  } },
    h("span", { class: "label", style: { "padding-left": Math.min(depth, 12) * 14 + "px" } }, h("span", { class: "kind " + kindOf(one) }, kindOf(one)), " ", data(one.name || "(no name)"), one.failed ? h("span", { class: "bad" }, " failed") : null),
    h("span", { class: "lane", "aria-hidden": "true" }, h("span", { class: "bar " + kindOf(one), style: { left: (one.start - begin) / (end - begin) * 100 + "%", width: Math.max(0.6, (one.end - one.start) / (end - begin) * 100) + "%" } })),
    h("span", { class: "took" }, span((one.end - one.start) / 1000))));
  const choose = nth => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === nth ? "true" : "false"));
    put(place, spanDetails(rows[nth].one));
  };
  const failed = spans.filter(one => one.failed), parentsOf = some => new Set(some.map(one => one.parent));
  const passedOn = parentsOf(failed), explained = parentsOf(failed.filter(one => one.message));
  const saysWhy = rows.findIndex(({ one }) => one.failed && one.message && !explained.has(one.id));
  choose(Math.max(0, saysWhy >= 0 ? saysWhy : rows.findIndex(({ one }) => one.failed && !passedOn.has(one.id))));
  return [h("div", { class: "bar-rows", role: "group", "aria-label": "Spans; arrow keys go from one to the next" }, buttons), place];
}

// ---- Turns

function mlflowLink(i) {
  if (!about.mlflow || F.experiment[i] < 0) return null;
  const to = `${about.mlflow}/#/experiments/${encodeURIComponent(F.experiments[F.experiment[i]])}/traces?selectedEvaluationId=${encodeURIComponent(F.id[i])}`;
  return h("a", { href: to, target: "_blank", rel: "noopener noreferrer" }, "Open in MLflow", h("span", { class: "unseen" }, " (new tab)"), " ↗");
}
const feedbackOf = i => (F.saidOf.get(i) || []).map(one => h("span", { class: "chip feedback" + (one.error || one.value === false ? " no" : "") }, data(one.name), one.isExpectation ? " expected: " : ": ", data(shownValue(one)), one.of === "turn" ? "" : ` (of the ${one.of})`));

async function turnElement(i, nth, previous, pane) {
  const texts = await textsOf(i);
  const spans = await spansOf(i);
  const ids = new Set(spans?.map(one => one.id));
  const root = spans?.find(one => !ids.has(one.parent));
  const inputs = root && messagesIn(root.inputs), outputs = root && messagesIn(root.outputs);
  const question = inputs ? lastOf(inputs, "user") ?? "" : (root && plainText(root.inputs)) ?? texts?.request ?? "";
  const answer = outputs ? lastOf(outputs, "assistant") ?? "" : (root && plainText(root.outputs)) ?? texts?.response ?? "";
  const gap = previous === null ? 0 : F.time[i] - (F.time[previous] + (F.duration[previous] || 0));
  const tools = (spans || []).filter(one => kindOf(one) === "tool" || kindOf(one) === "retriever");
  const fault = F.fault[i] >= 0 ? F.faults[F.fault[i]] : null;
  const id = "turn-" + F.id[i];
  const open = h("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => pane.show(i, element, open) }, spans ? `${spans.length} ${spans.length === 1 ? "span" : "spans"}` : "Details");
  const element = h("article", { class: "turn" + (F.status[i] === ERROR ? " failed" : ""), id, tabindex: -1, "aria-label": `Turn ${nth + 1}` },
    gap > 5 * minute ? h("p", { class: "gap" }, span(gap) + " later") : null,
    h("header", {}, h("h2", {}, `Turn ${nth + 1}`), h("time", { dateTime: new Date(F.time[i]).toISOString() }, clock(F.time[i])), F.status[i] === OK ? null : badge(F.status[i]),
      h("span", { class: "soft" }, span(F.duration[i])), F.input[i] + F.output[i] ? h("span", { class: "soft" }, brief(F.input[i] + F.output[i]) + " tokens") : null, F.cost[i] ? h("span", { class: "soft" }, money(F.cost[i])) : null),
    about.texts ? bubble("user", F.user[i] >= 0 ? data(F.users[F.user[i]]) : "User", question ? prose(question) : h("p", { class: "soft" }, "(nothing recorded)")) : null,
    tools.length ? h("ul", { class: "tools", "aria-label": "What was called" }, tools.map(one => h("li", { class: one.failed ? "failed" : "" }, h("span", { class: "kind " + kindOf(one) }, kindOf(one)), " ", data(one.name), " ", h("span", { class: "soft" }, span((one.end - one.start) / 1000)), one.failed ? h("span", { class: "bad" }, " failed: ", data(one.message.split("\n")[0].slice(0, 160))) : null))) : null,
    about.texts && answer ? bubble("assistant", "Assistant", prose(answer)) : null,
    F.silent[i] ? h("div", { class: "fault", role: "note" }, h("strong", {}, "No answer"), ", and no span failed") : null,
    F.status[i] === ERROR ? h("div", { class: "fault", role: "note" }, h("strong", {}, answer ? "Failed" : "No answer"), fault ? [": ", data(fault.filter(Boolean).join(": "))] : null) : null,
    F.status[i] === IN_PROGRESS ? h("p", { class: "soft" }, "This turn has not ended.") : null,
    h("footer", {}, open, mlflowLink(i), h("button", { type: "button", class: "quiet", onclick: event => copy(location.href.split("#")[0] + turnLink(i), event.target) }, "Copy link"), feedbackOf(i)));
  return element;
}

// The spans of one turn: next to the conversation if there is room, otherwise below the turn.
function spanPane(column) {
  const room = matchMedia("(min-width: 1180px)");
  const body = h("div", { class: "body" });
  const title = h("h2", { tabindex: -1 });
  const close = h("button", { type: "button", class: "quiet", onclick: () => pane.hide() }, "Close");
  const element = h("aside", { class: "pane", "aria-label": "Spans of the turn", hidden: true }, h("div", { class: "pane-head" }, title, close), body);
  let from = null, turn = null;
  const settle = () => { if (turn) { if (room.matches) column.append(element); else turn.after(element); } };
  room.addEventListener("change", settle);
  const pane = {
    async show(i, at, button, isByLink) {
      from?.setAttribute("aria-expanded", "false");
      turn?.classList.remove("chosen");
      from = button; turn = at;
      turn.classList.add("chosen");
      button.setAttribute("aria-expanded", "true");
      const [spans, texts] = [await spansOf(i), await textsOf(i)];
      title.textContent = at.querySelector("h2").textContent;
      const pairs = texts ? [["Trace", F.id[i]], ...(texts.clientId ? [["Request ID", texts.clientId]] : []), ...Object.entries(texts.metadata).filter(([key]) => !makesNoRow(key)), ...Object.entries(texts.tags).filter(([key]) => !makesNoRow(key))] : [["Trace", F.id[i]]];
      const reasons = (F.saidOf.get(i) || []).map(one => [one, texts?.reasons[one.place] || ["", ""]]);
      put(body, spans ? waterfall(i, spans, texts) : h("p", { class: "soft" }, "The page was made without spans."),
        reasons.length ? h("section", { class: "said" }, h("h3", {}, "Feedback"), reasons.map(([one, [by, why]]) => h("p", {}, h("strong", {}, data(one.name + ": " + shownValue(one))), " ", h("span", { class: "soft" }, "by ", data(by || one.source.toLowerCase())), why ? h("br") : null, why ? data(why) : null))) : null,
        h("details", { class: "about" }, h("summary", {}, "Metadata and tags"), h("dl", { class: "pairs" }, pairs.map(([key, value]) => [h("dt", {}, data(key)), h("dd", {}, data(value))]))));
      element.hidden = false;
      settle();
      if (!isByLink) { title.focus({ preventScroll: true }); history.replaceState(null, "", turnLink(i)); }
    },
    hide() { element.hidden = true; turn?.classList.remove("chosen"); from?.setAttribute("aria-expanded", "false"); from?.focus(); },
  };
  return pane;
}
const makesNoRow = key => /^mlflow\.(trace\.(tokenUsage|cost|sizeStats|sizeBytes|user|session)|trace_schema|artifactLocation|traceInputs|traceOutputs|assessments)/.test(key);

function timeline(traces) {
  const begin = F.time[traces[0]], end = traces.reduce((most, i) => Math.max(most, F.time[i] + (F.duration[i] || 0)), begin + 1);
  return h("div", { class: "timeline" }, h("div", { class: "line", "aria-hidden": "true" }, Array.from(traces, (i, nth) => h("span", { class: F.status[i] === ERROR ? "failed" : "", title: `Turn ${nth + 1}: ${clock(F.time[i])}, ${span(F.duration[i])}`,
    style: { left: (F.time[i] - begin) / (end - begin) * 100 + "%", width: `max(3px, ${(F.duration[i] || 0) / (end - begin) * 100}%)` }, onclick: () => byId("turn-" + F.id[i]).scrollIntoView({ block: "center" }) }))),
    h("div", { class: "ends" }, h("span", {}, clock(begin)), h("span", {}, span(end - begin) + " in all"), h("span", {}, clock(end))));
}

async function conversation(title, traces, chosen, head) {
  const side = h("div", { class: "side" });
  const pane = spanPane(side);
  const turns = h("div", { class: "turns" });
  const most = 200; // turns per step
  let shown = 0;
  const more = h("button", { type: "button", class: "strong", onclick: () => add(most) }, "Show more turns");
  const add = async count => {
    const to = Math.min(traces.length, shown + count), from = shown;
    shown = to;
    for (let nth = from; nth < to; ++nth) turns.append(await turnElement(traces[nth], nth, nth ? traces[nth - 1] : null, pane));
    if (shown < traces.length) turns.append(more); else more.remove();
  };
  const place = chosen ? Array.from(traces).findIndex(i => F.id[i] === chosen) : -1;
  await add(Math.max(most, place + 1));
  const target = place >= 0 ? place : Array.from(traces).findIndex(i => F.status[i] === ERROR);
  afterPaint(async () => {
    const element = turns.querySelector(".turn:nth-of-type(" + (Math.max(0, target) + 1) + ")");
    const isWide = matchMedia("(min-width: 1180px)").matches;
    if (!element || (place < 0 && !isWide)) return;
    await pane.show(traces[Math.max(0, target)], element, element.querySelector("footer button"), true);
    if (place >= 0) { element.scrollIntoView({ block: "start" }); element.focus({ preventScroll: true }); }
  });
  return [head, traces.length > 1 ? timeline(traces) : null, h("div", { class: "conversation" }, turns, side)];
}

// What all its turns have in common: version, region, segment. Each leads to the sessions that have it too.
function sharedKeys(traces) {
  const shared = [];
  for (const [key, { values, at }] of F.keys) {
    const value = at[traces[0]];
    if (value < 0 || /^(tag\.)?mlflow\./.test(key) || traces.some(i => at[i] !== value)) continue;
    shared.push(h("li", {}, h("a", { class: "chip", href: linkTo("sessions", { ...noFilter(), is: [[key, values[value]]] }) }, data(`${key.replace(/^tag\./, "")} = ${values[value]}`))));
    if (shared.length === 12) break;
  }
  return shared.length ? h("ul", { class: "shared", "aria-label": "What all turns have in common" }, shared) : null;
}

async function sessionView(id) {
  const end = id.lastIndexOf("\n");
  const [session, chosen] = end < 0 || F.sessions.includes(id) ? [id] : [id.slice(0, end), id.slice(end + 1)];
  const nth = F.sessions.indexOf(session);
  const traces = nth < 0 ? [] : F.byTime.filter(i => F.session[i] === nth); // all turns, regardless of the filters
  const crumbs = h("p", { class: "crumbs" }, h("a", { href: linkTo("sessions") }, "Sessions"));
  if (traces.length === 0) return [h("div", { class: "heading" }, crumbs, h("h1", {}, data(session))), emptyState("Not in this report", "No trace of this session is in the page.")];
  const all = summaryOf(traces);
  const users = [...new Set(Array.from(traces, i => F.user[i]).filter(user => user >= 0))].map(user => F.users[user]);
  const beside = await neighboursOf(session);
  const step = (to, rel, text) => (to === undefined ? null : h("a", { class: "step", rel, href: linkTo("session", filter, to), title: rel === "prev" ? "Key: k" : "Key: j" }, text));
  const steps = beside && beside.count > 1 ? h("nav", { class: "steps", "aria-label": "Sessions as they were listed" }, step(beside.before, "prev", "← Previous"),
    h("span", { class: "soft" }, `${whole(beside.at + 1)} of ${whole(beside.count)}`), step(beside.after, "next", "Next →")) : null;
  const head = h("div", { class: "heading session" }, steps, crumbs, h("h1", {}, data(session)),
    h("p", {}, userLinks(users), " · ", when(all.first), " · ", h("strong", {}, whole(all.turns)), all.turns === 1 ? " turn" : " turns", all.errors ? [" · ", h("span", { class: "bad" }, whole(all.errors) + " failed")] : null,
      " · p95 " + span(all.p95), all.tokens ? " · " + brief(all.tokens) + " tokens" : "", all.cost ? " · " + money(all.cost) : "", " ", h("button", { type: "button", class: "quiet", onclick: event => copy(location.href.split("#")[0] + linkTo("session", noFilter(), session), event.target) }, "Copy link")), sharedKeys(traces));
  return conversation(session, traces, chosen, head);
}
async function traceView(id) {
  const i = F.id.indexOf(id);
  const head = h("div", { class: "heading" }, h("p", { class: "crumbs" }, h("a", { href: linkTo("turns") }, "Turns")), h("h1", {}, data(id)));
  return i < 0 ? [head, emptyState("Not in this report", "No trace of this ID is in the page.")] : conversation(id, [i], id, head);
}
