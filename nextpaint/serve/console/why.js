// One decision, readable: what was shown and why, what was held back, how long each stage took, and a replay.

import { createClient, keyOfThisTab } from "./client.js";
import { $, h, ms, pretty, text, tile } from "./dom.js";
import { factList, nearMiss, readRecord, sentenceOf, signedBars } from "./record.js";

const id = decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
const client = createClient({ key: keyOfThisTab(), who: () => "console" });
const address = `/v1/decisions/${encodeURIComponent(id)}`;

function bar(label, part, amount, over = false) {
  return h("li", {}, h("span", {}, label), h("span", { class: over ? "meter over" : "meter", "aria-hidden": "true" }, h("i", { style: { width: `${Math.min(100, part * 100).toFixed(2)}%` } })), h("span", { class: "amount" }, amount));
}

function draw(record) {
  const when = record.atMs ? new Date(record.atMs) : null;
  const lead = [`${record.surface ? `${pretty(record.surface.replaceAll("_", " "))}, ` : ""}${record.items.length} item${record.items.length === 1 ? "" : "s"}`];
  if (when && !Number.isNaN(when.getTime())) lead.push(when.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }));
  if (record.position !== null) lead.push(`read at position ${typeof record.position === "object" ? JSON.stringify(record.position) : record.position}`);
  lead.push(!record.profiled ? "no personal data read" : record.cold ? "a visitor nothing was known about" : "for one visitor");
  for (const each of record.degraded) lead.push(`${each.stage ?? each.name ?? "a stage"} used ${each.used ?? "its fallback"}: ${each.cause ?? ""}`);
  text($("lead"), `${lead.join(" · ")}. ${record.sentence}`.trim());
  $("shown").replaceChildren(...record.items.map((item) => h("li", {}, h("img", { src: tile(item.id, item.title), alt: "" }), h("h2", {}, `${item.rank}. ${pretty(item.title ?? item.id)}`),
    h("p", { class: "quiet small" }, [item.id, item.score === null ? "" : `score ${item.score.toFixed(3)}`, item.sources.filter(Boolean).join(", ")].filter(Boolean).join(" · ")),
    h("div", { class: "body" }, h("p", { class: "reason" }, sentenceOf(item, record)), item.contributions.length ? signedBars(item) : "", factList(item)))));
  const most = Math.max(...record.filters.map((each) => each.removed), 1);
  $("filters").replaceChildren(...(record.filters.length ? record.filters.map((each) => bar(h("code", {}, each.name), each.removed / most, `${each.removed} held back`)) : [h("li", { class: "quiet" }, "Nothing was filtered.")]));
  $("near").replaceChildren(...record.near.slice(0, 10).map((each) => nearMiss(each, () => null)));
  const slowest = Math.max(...record.stages.map((each) => each.ms ?? 0), 1e-9);
  $("stages").replaceChildren(...record.stages.map((each) => bar(`${each.name}${each.path ? ` · ${typeof each.path === "string" ? each.path : JSON.stringify(each.path)}` : ""}`, (each.ms ?? 0) / (each.budget ?? slowest), `${ms(each.ms)}${each.budget ? ` of ${each.budget} ms` : ""}`, each.budget !== null && each.ms > each.budget)));
  const { window_ms: windowMs, total } = record.budget ?? {};
  text($("total"), typeof total === "number" ? `${ms(total)} in all${windowMs ? `, of a window of ${windowMs} ms` : ""}` : "");
  text($("raw"), JSON.stringify(record.raw, null, 2));
  document.documentElement.dataset.ready = "1";
}

async function replay() {
  $("replay").disabled = true;
  text($("verdict"), "Running the ledger again…");
  try {
    const { replay: verdict } = readRecord(await client.call("GET", `${address}?replay=1`));
    const same = verdict === true || verdict?.identical === true || verdict?.same === true || /^(identical|same|equal)/i.test(String(verdict?.verdict ?? verdict ?? ""));
    const words = typeof verdict === "string" ? verdict : verdict?.verdict ?? verdict?.sentence ?? (same ? "identical" : "different");
    const differs = verdict?.differences ?? verdict?.differs ?? [];
    $("verdict").replaceChildren(h("span", { class: same ? "chip good" : "chip bad" }, same ? "identical" : "not identical"), ` ${words}`, verdict?.took_ms ? ` in ${ms(verdict.took_ms)}` : "", differs.length ? ` · ${JSON.stringify(differs)}` : "");
  } catch (error) {
    text($("verdict"), [error.message, error.where, error.cure].filter(Boolean).join(" · "));
  } finally {
    $("replay").disabled = false;
  }
}

$("replay").addEventListener("click", replay);
try {
  draw(readRecord(await client.call("GET", `${address}?view=support`)));
} catch (error) {
  $("notice").hidden = false;
  text($("notice"), error.status === 404 ? `There is no decision ${id} in this node.` : error.message);
  text($("lead"), "");
}
