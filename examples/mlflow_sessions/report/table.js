// SPDX-License-Identifier: Apache-2.0
// Tables that are sorted by clicking on a column head, and shown page by page.

const tableStates = new Map(); // keeps the sorting and page of each table

// columns: [{ key, head, number, title, cell(row), value(row) }]; tables are sorted by `value`.
function tableOf(id, caption, columns, rows, { sort, size = 50, none } = {}) {
  if (rows.length === 0) return none || emptyState("Nothing here", "No rows match these filters.");
  if (!tableStates.has(id)) tableStates.set(id, { by: sort[0], down: sort[1] });
  const state = tableStates.get(id);
  state.page = 0;
  const valueOf = (column, row) => (column.value ? column.value(row) : row[column.key]);
  let sorted = rows;
  const body = h("tbody");
  const status = h("span", { class: "status" });
  const order = () => {
    const column = columns.find(one => one.key === state.by) || columns[0];
    const keyed = rows.map(row => [valueOf(column, row), row]);
    const isMissing = value => value === undefined || value === null || value === "" || Number.isNaN(value);
    keyed.sort(([a], [b]) => {
      if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
      const less = typeof a === "string" ? a.localeCompare(b) : a - b;
      return state.down ? -less : less;
    });
    state.rows = sorted = keyed.map(([, row]) => row);
  };
  const show = () => {
    const first = state.page * size;
    put(body, sorted.slice(first, first + size).map(row => h("tr", {}, columns.map((column, i) => {
      const content = column.cell ? column.cell(row) : row[column.key];
      return h(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : undefined, class: (column.number ? "number " : "") + (column.class || "") }, content);
    }))));
    status.textContent = rows.length <= size ? `${whole(rows.length)} in all` : `${whole(first + 1)}–${whole(Math.min(first + size, rows.length))} of ${whole(rows.length)}`;
    back.disabled = state.page === 0;
    next.disabled = first + size >= rows.length;
    for (const th of head.cells) {
      const isBy = th.dataset.key === state.by;
      if (isBy) th.setAttribute("aria-sort", state.down ? "descending" : "ascending"); else th.removeAttribute("aria-sort");
    }
  };
  const turn = by => { state.page += by; show(); announce(status.textContent); holder.scrollTop = 0; };
  const back = h("button", { type: "button", onclick: () => turn(-1) }, "Previous");
  const next = h("button", { type: "button", onclick: () => turn(1) }, "Next");
  const head = h("tr", {}, columns.map(column => h("th", { scope: "col", "data-key": column.key, class: column.number ? "number" : "", title: column.title },
    column.plain ? column.head : h("button", { type: "button", onclick: () => {
      state.down = state.by === column.key ? !state.down : !!column.number;
      state.by = column.key;
      state.page = 0;
      order(); show();
      announce(`Sorted by ${column.head}, ${state.down ? "descending" : "ascending"}`);
    } }, column.head))));
  const holder = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", { class: "rows" }, h("caption", { class: "unseen" }, caption), h("thead", {}, head), body));
  order();
  show();
  return h("div", { class: "table" }, holder, h("div", { class: "pager" }, status, rows.length > size ? [back, next] : null));
}
