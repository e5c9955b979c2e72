// The SQL box: runs a query on live tables, shows rows, and shows an error where it is.

import { h, ms, text } from "./dom.js";

const numeric = (type) => /INT|DOUBLE|FLOAT|DECIMAL|NUMERIC|REAL/i.test(type ?? "");

export function cell(value, type) {
  if (value === null || value === undefined) return h("td", { class: "null" }, "NULL");
  if (typeof value === "number") return h("td", { class: "number" }, Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(7))));
  const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
  return h("td", { class: numeric(type) ? "number" : null, title: shown.length > 32 ? shown : null }, shown);
}

export function rowsTable(columns, rows) {
  return h("table", {}, h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: numeric(column.type) ? "number" : null }, column.name, h("small", {}, column.type ?? ""))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column, index) => cell(Array.isArray(row) ? row[index] : row[column.name], column.type))))));
}

/** The place of an error: its own line and column, or "line 2, column 14" / "2:14" in its words. */
function placeOf(error) {
  if (error.line) return [error.line, error.column ?? 1];
  const words = `${error.where} ${error.message}`;
  const found = /line (\d+),? col(?:umn)?\.? ?(\d+)/i.exec(words) ?? /\b(\d+):(\d+)\b/.exec(words);
  return found ? [Number(found[1]), Number(found[2])] : null;
}

export function sqlBox(client, parts) {
  const { box, run, said, error, result } = parts;

  async function query() {
    const sql = box.value.trim();
    if (!sql) return;
    run.disabled = true;
    const started = performance.now();
    try {
      const answer = await client.call("POST", "/v1/query", { sql });
      error.hidden = true;
      const rows = answer.rows ?? [];
      result.replaceChildren(rowsTable(answer.columns ?? [], rows));
      text(said, `${rows.length} row${rows.length === 1 ? "" : "s"} in ${ms(performance.now() - started)}${answer.position ? `, read at position ${typeof answer.position === "object" ? JSON.stringify(answer.position) : answer.position}` : ""}`);
    } catch (problem) {
      error.hidden = false;
      const place = placeOf(problem);
      const line = place ? (box.value.split("\n")[place[0] - 1] ?? "") : "";
      error.replaceChildren([problem.message, problem.where, problem.cure].filter(Boolean).join(" · "), place ? h("pre", {}, `${line}\n${" ".repeat(Math.max(0, place[1] - 1))}^`) : "");
      if (place) {
        const offset = box.value.split("\n").slice(0, place[0] - 1).reduce((sum, each) => sum + each.length + 1, 0) + place[1] - 1;
        box.focus();
        box.setSelectionRange(offset, Math.min(box.value.length, offset + Math.max(1, /^\w*/.exec(box.value.slice(offset))[0].length)));
      }
      text(said, "Not run");
      result.replaceChildren();
    } finally {
      run.disabled = false;
    }
  }

  run.addEventListener("click", query);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      query();
    }
  });
  return { ask(sql) { box.value = sql; return query(); } };
}
