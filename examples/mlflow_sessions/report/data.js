// SPDX-License-Identifier: Apache-2.0
// The data embedded in the page: numbers by column, and blocks of texts and spans that are decompressed on demand.

const about = JSON.parse(document.querySelector("[data-block=about]").textContent);

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function unpack(element) {
  if (element.type === "application/json") return JSON.parse(element.textContent);
  const packed = new Blob([bytesOf(element.textContent)]).stream();
  return new Response(packed.pipeThrough(new DecompressionStream("deflate"))).json();
}

const everythingIsThere = new Promise(done => {
  if (document.readyState !== "loading") done();
  else document.addEventListener("DOMContentLoaded", done, { once: true });
});

const unpacked = new Map();
async function blockNamed(name) {
  if (!unpacked.has(name)) {
    await everythingIsThere;
    const element = document.querySelector(`[data-block="${name}"]`);
    if (unpacked.size > 400) unpacked.clear();
    unpacked.set(name, element ? unpack(element) : Promise.resolve([]));
  }
  return unpacked.get(name);
}

// The texts of a trace; null if the page has none.
async function textsOf(trace) {
  if (!about.texts) return null;
  const all = await blockNamed("t" + Math.floor(trace / about.texts));
  const [request, response, clientId, metadata, tags, reasons] = all[trace % about.texts] || ["", "", "", {}, {}, []];
  return { request, response, clientId, metadata, tags, reasons };
}

async function spansOf(trace) {
  if (!about.spans) return null;
  const all = await blockNamed("s" + Math.floor(trace / about.spans));
  return (all[trace % about.spans] || []).map(([id, parent, name, start, end, failed, message, inputs, outputs, others, events = []]) => {
    const happened = events.map(([what, at, said]) => ({ name: what, at, attributes: pairsOf(said) }));
    return { id, parent, name, start, end, failed: failed === 1, message, inputs, outputs, attributes: pairsOf(others), events: happened };
  });
}
function pairsOf(flat) {
  const pairs = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
  return pairs;
}

// The lower-case text of each trace, for the search.
let searched = null;
function searchTexts(count, onProgress) {
  if (!searched)
    searched = (async () => {
      const all = new Array(count).fill("");
      for (let first = 0; about.texts && first < count; first += about.texts) {
        const block = await blockNamed("t" + first / about.texts);
        block.forEach(([request, response, clientId, metadata, tags], i) => {
          all[first + i] = [request, response, clientId, ...Object.values(metadata), ...Object.values(tags)].join("\n").toLowerCase();
        });
        if (first % 20000 === 0) onProgress(first / count);
      }
      return all;
    })();
  return searched;
}
