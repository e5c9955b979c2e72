// The console: polls the node's status twice a second while it is looked at, and draws what changed.

import { fallingEvent, latencyStacks, positionBars, sparkline } from "./charts.js";
import { createClient, freshId, keyOfThisTab } from "./client.js";
import { $, count, h, ms, text } from "./dom.js";
import { drawArms, drawExperiments, drawScore } from "./learning.js";
import { reviewsBox } from "./reviews.js";
import { rulesBox } from "./rules.js";
import { sqlBox } from "./sql.js";
import { stockControl } from "./stock.js";

const POLL_MS = 500;
const SLOW_MS = 2000; // what is learned and ruled changes slowly
const visitor = `console-${freshId()}`;
const client = createClient({ key: keyOfThisTab(), who: () => visitor });

const draw = {
  events: sparkline($("events-spark")), decisions: sparkline($("decisions-spark")), frames: sparkline($("frames-spark")),
  positions: positionBars($("positions")), fall: fallingEvent($("fall"), $("fall-line")), latency: latencyStacks($("latency"), $("latency-line")),
};
const sql = sqlBox(client, { box: $("sql"), run: $("run"), said: $("sql-said"), error: $("sql-error"), result: $("result") });
const stock = stockControl(client);
const rules = rulesBox(client);
const reviews = reviewsBox(client);

const COUNTERS = [["degraded", "degraded"], ["refused", "refused"], ["quarantined", "quarantined"], ["late", "late"], ["dead", "dead letters"], ["duplicates", "duplicates"]];
const HOT = new Set(["refused", "quarantined", "dead", "degraded"]);

function bytes(value) {
  if (typeof value !== "number") return "";
  const step = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : value >= 1e3 ? [1e3, "kB"] : [1, "B"];
  return `${(value / step[0]).toFixed(value >= 1e3 ? 1 : 0)} ${step[1]}`;
}

function figures(status) {
  const rates = status.rates ?? {};
  const totals = status.totals ?? {};
  text($("application"), status.application?.title ?? status.application?.name ?? "");
  text($("events-rate"), count(rates.events_per_s));
  text($("decisions-rate"), count(rates.decisions_per_s));
  text($("frames-rate"), count(rates.frames_per_s));
  draw.events(rates.events_per_s);
  draw.decisions(rates.decisions_per_s);
  draw.frames(rates.frames_per_s);
  text($("events-total"), `${count(totals.events)} on disk`);
  text($("decisions-total"), `${count(totals.decisions)} answered, each with a record`);
  text($("frames-fill"), `${count(rates.records_per_frame ?? (rates.frames_per_s ? rates.events_per_s / rates.frames_per_s : 0))} records each · commit p99 ${ms(status.latency?.commit?.p99_ms)}`);
  const inside = status.fraction_inside;
  text($("inside"), typeof inside === "number" ? `${(Math.floor(inside * 10000) / 100).toFixed(2)} %` : "–");
  text($("inside-line"), status.window ? `of decisions within ${status.window.total_ms} ms` : "");
  $("counters").replaceChildren(...COUNTERS.filter(([name]) => totals[name] !== undefined).map(([name, label]) => h("li", { class: HOT.has(name) && totals[name] ? "hot" : null }, label, h("b", {}, count(totals[name])))));
  text($("state-hash"), status.state_hash ? `State ${status.state_hash}.` : "");
}

let tablesKey = "";
function tables(list) {
  const key = JSON.stringify(list);
  if (key === tablesKey) return;
  tablesKey = key;
  const held = $("tables").contains(document.activeElement) ? document.activeElement.dataset.table : null;
  $("tables").replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, ["Table", "Rows", "Read", ""].map((name) => h("th", { scope: "col", class: name === "Rows" ? "number" : null }, name)))),
    h("tbody", {}, list.map((table) => h("tr", {}, h("td", {}, h("button", { type: "button", data: { table: table.name }, onclick: () => sql.ask(`SELECT * FROM ${table.name} LIMIT 20`) }, table.name)),
      h("td", { class: "number" }, count(table.rows) + (table.held ? ` +${count(table.held)} waiting` : "")), h("td", {}, h("span", { class: table.reading === "live" ? "chip good" : "chip" }, table.reading ?? ""), table.as_of ? ` ${table.as_of}` : "", typeof table.halted_at_seq === "number" ? h("span", { class: "chip", title: "This statement halted at the memory ceiling; its rows no longer change." }, "halted") : ""), h("td", { class: "quiet" }, bytes(table.bytes)))))));
  if (held) $("tables").querySelector(`[data-table="${CSS.escape(held)}"]`)?.focus();
  if (!$("examples").children.length) examples(list.map((table) => table.name));
}

function examples(names) {
  const known = [["category_interest", "Who wants what", "SELECT subject, category, heat\nFROM category_interest ORDER BY heat DESC LIMIT 10"], ["trending", "Trending now", "SELECT * FROM trending ORDER BY heat DESC LIMIT 10"],
    ["inventory", "Almost sold out", "SELECT item_id, stock, price FROM inventory\nWHERE stock < 5 ORDER BY stock LIMIT 20"]].filter(([name]) => names.includes(name));
  const all = [...known.map(([, label, query]) => [label, query]), ...names.filter((name) => !known.some(([each]) => each === name)).slice(0, 3).map((name) => [name, `SELECT * FROM ${name} LIMIT 20`])];
  $("examples").replaceChildren(...all.map(([label, query]) => h("button", { type: "button", onclick: () => sql.ask(query) }, label)));
  if (!$("sql").value && all.length) $("sql").value = all[0][1];
}

let recentKey = "";
function recent(list) {
  const key = JSON.stringify(list);
  if (key === recentKey || $("recent").matches(":hover") || $("recent").contains(document.activeElement)) return;
  recentKey = key;
  $("recent").replaceChildren(...list.slice(0, 18).map((entry) => {
    const id = typeof entry === "string" ? entry : String(entry.decision_id ?? entry.id ?? "");
    return h("li", {}, h("a", { class: "mono", href: `/why/${encodeURIComponent(id)}` }, id), entry.simulated ? h("span", { class: "chip" }, "simulated") : null);
  }));
}

async function poll() {
  if (!document.hidden) {
    try {
      const status = await client.call("GET", "/console/api/status");
      $("notice").hidden = true;
      figures(status);
      draw.positions(status.positions ?? {});
      draw.fall(status.last_event, status.window);
      draw.latency(status.latency, status.window);
      tables(status.tables ?? []);
      recent(status.recent_decisions ?? []);
      document.documentElement.dataset.ready = "1";
    } catch (error) {
      $("notice").hidden = false;
      text($("notice"), error.status === 401 ? "This node wants an API key: open /console#key=YOUR_KEY." : `The node did not answer: ${error.message}`);
    }
  }
  setTimeout(poll, POLL_MS);
}

/** What was learned, and the rules: each read by itself, so that one that fails leaves the others. */
async function pollSlowly() {
  if (!document.hidden) {
    const reads = [
      client.call("GET", "/console/api/score").then(({ score }) => drawScore(score)), client.call("GET", "/v1/experiments").then(({ experiments }) => drawExperiments(experiments)),
      client.call("GET", "/v1/learning").then(({ learners }) => drawArms(learners)), $("rule-form").hidden ? rules.read() : null, reviews.read(),
    ];
    await Promise.allSettled(reads);
  }
  setTimeout(pollSlowly, SLOW_MS);
}

poll();
pollSlowly();
stock.fill().catch(() => text($("gone"), "No items yet."));
