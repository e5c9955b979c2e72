// One decision, readable: what was shown and why, what was held back, how long each stage took, and a replay.

import { createClient, keyOfThisTab } from "./client.js";
import { $, h, ms, pretty, text, tile } from "./dom.js";
import { factList, nearMiss, readRecord, sentenceOf, signedBars } from "./record.js";

const id = decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
const client = createClient({ key: keyOfThisTab(), who: () => "console" });
const pictured = document.documentElement.dataset.home === "shop"; // a film's poster needs more than its title
const address = `/v1/decisions/${encodeURIComponent(id)}`;

function bar(label, part, amount) {
  return h("li", {}, h("span", {}, label), h("span", { class: "meter", "aria-hidden": "true" }, h("i", { style: { width: `${Math.min(100, part * 100).toFixed(2)}%` } })), h("span", { class: "amount" }, amount));
}

/** The record's words with titles as people read them, not in capitals. */
const readable = (said, record) => [...record.items, ...record.near].reduce((line, each) => (each.title ? line.replaceAll(each.title, pretty(each.title)) : line), said);

function draw(record) {
  const lead = [`${pretty(record.surface.replaceAll("_", " "))}, ${record.items.length} of ${record.considered ?? record.items.length} candidates`];
  if (record.atMs) lead.push(new Date(record.atMs).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }));
  if (record.position !== null) lead.push(`read at position ${record.position}`);
  lead.push(!record.profiled ? "no personal data read" : record.cold ? "a visitor nothing was known about" : "for one visitor");
  for (const each of record.degraded) lead.push(`${each.stage} used ${each.used}: ${each.cause}`);
  text($("lead"), `${lead.join(" · ")}.`);
  text($("ranked"), [record.retrieved.map((each) => `${each.found} ${each.name}`).join(", "), record.rankedBy ? `ranked by ${record.rankedBy}` : ""].filter(Boolean).join(" · "));
  $("shown").replaceChildren(...record.items.map((item) => h("li", {}, pictured ? h("img", { src: tile(item.id, item.title), alt: "" }) : "", h("h3", {}, `${item.rank}. ${pretty(item.title ?? item.id)}`),
    h("p", { class: "quiet small" }, [item.id, item.score === null ? "" : `score ${item.score.toFixed(3)}`, item.foundBy.join(", ")].filter(Boolean).join(" · ")),
    h("div", { class: "body" }, h("p", { class: "reason" }, sentenceOf(item, record)), signedBars(item), factList(item)))));
  $("otherwise-panel").hidden = !record.otherwise.length;
  $("otherwise").replaceChildren(...record.otherwise.map((each) => h("li", {}, readable(each.text, record), each.personal ? h("span", { class: "chip now" }, "about the visitor") : "")));
  const most = Math.max(...record.filters.map((each) => each.removed), 1);
  $("filters").replaceChildren(...(record.filters.length ? record.filters.map((each) => bar(h("code", {}, each.name), each.removed / most, `${each.removed} held back`)) : [h("li", { class: "quiet" }, "Nothing was filtered.")]));
  $("near").replaceChildren(...record.near.slice(0, 10).map((each) => nearMiss(each, () => null)));
  const slowest = Math.max(...record.stages.map((each) => each.ms), 1e-9);
  $("stages").replaceChildren(...record.stages.map((each) => bar([each.name, each.path && each.path !== "run" ? each.path : "", each.note].filter(Boolean).join(" · "), each.ms / slowest, ms(each.ms))));
  text($("total"), `${ms(record.stages.reduce((sum, each) => sum + each.ms, 0))} in all stages`);
  text($("kept"), record.kept);
  text($("raw"), JSON.stringify(record.raw, null, 2));
  document.documentElement.dataset.ready = "1";
}

async function replay() {
  $("replay").disabled = true;
  text($("verdict"), "Running the ledger again…");
  try {
    const { replay: verdict } = readRecord(await client.call("GET", `${address}?replay=1`));
    const same = (verdict?.verdict ?? "").split(",")[0] === "identical";
    $("verdict").replaceChildren(h("span", { class: same ? "chip good" : "chip bad" }, verdict?.verdict ?? "no verdict"), same ? " Candidates, features, scores and order are the same." : "",
      verdict?.from ? h("span", { class: "quiet" }, ` Recomputed from ${verdict.from}.`) : "", verdict?.reason ? ` ${verdict.reason}` : "", h("ul", {}, (verdict?.differences ?? []).map((each) => h("li", {}, typeof each === "string" ? each : `${each.what}: recorded ${each.recorded}, recomputed ${each.recomputed}`))));
  } catch (error) {
    text($("verdict"), [error.message, error.where, error.cure].filter(Boolean).join(" · "));
  } finally {
    $("replay").disabled = false;
  }
}

/** What a person was asked, and made of it. Only an open question cannot be asked again. */
function drawReview(review) {
  $("contest").hidden = review?.state === "open";
  if (!review) return;
  const when = (at) => new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  text($("person-line"), review.state === "open" ? `A person will look at it, asked ${when(review.asked_ms)}: ${review.reason}` : `A person looked at it ${when(review.decided_ms)} and ${review.outcome} it: ${review.note}`);
}

async function contest(event) {
  event.preventDefault();
  try {
    drawReview(await client.call("POST", `${address}/contest`, { reason: $("contest-reason").value }));
    text($("contest-said"), "It waits for a person now.");
  } catch (error) {
    text($("contest-said"), [error.message, error.where, error.cure].filter(Boolean).join(" · "));
  }
}

$("replay").addEventListener("click", replay);
$("contest").addEventListener("submit", contest);
try {
  const raw = await client.call("GET", `${address}?view=support`);
  drawReview(raw.review ?? null);
  draw(readRecord(raw));
  if (raw.erased) {
    $("notice").hidden = false;
    text($("notice"), `The person this was decided for was erased on ${raw.erased.at.slice(0, 10)}. What is left is ${raw.erased.kept}, because ${raw.erased.because}.`);
  }
} catch (error) {
  $("notice").hidden = false;
  text($("notice"), error.status === 404 ? `There is no decision ${id} in this node.` : [error.message, error.cure].filter(Boolean).join(" · "));
  text($("lead"), "");
}
