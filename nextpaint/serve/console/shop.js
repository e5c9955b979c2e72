// The shop page: one visitor, a frozen list and a live one. What it knows comes from the same API a shop would call.

import { carousel } from "./cards.js";
import { createClient, keyOfThisTab, loadNextpaint } from "./client.js";
import { $, duration, h, ms, pretty, text } from "./dom.js";
import { interestStrip } from "./interests.js";
import { whatIf } from "./whatif.js";
import { factList, nearMiss, readRecord, sentenceOf, signedBars } from "./record.js";
import { toldOf } from "./told.js";

const SURFACE = "home_carousel";
const LIMIT = 20;
const SPEED = 60;
const AHEAD_MAX_MS = 3 * 3600 * 1000;
const SEEN_AFTER_MS = 1000; // a card counts as seen when half of it was on screen for a second

const key = keyOfThisTab();
const nextpaint = await loadNextpaint(key);
const client = createClient({ key, who: () => nextpaint.anonymousId });
const state = { profiled: true, decision: null, answered: null, aheadMs: 0, fastSince: null, viewed: new Set(), serial: 0, titles: new Map() };

const ahead = () => Math.min(AHEAD_MAX_MS, state.aheadMs + (state.fastSince === null ? 0 : (performance.now() - state.fastSince) * (SPEED - 1)));
const readingTime = () => Date.now() + ahead();
const strip = interestStrip($("bars"), $("interests-line"), readingTime);

const night = carousel($("night"), { view: (item) => react("Product Viewed", item, null), basket: (item) => react("Product Added", item, null), why: null });
const now = carousel($("now"), { view: (item, rank) => react("Product Viewed", item, rank), basket: (item, rank) => react("Product Added", item, rank), why: explain });

const supposed = whatIf(client, {
  decisionOf: () => state.decision,
  show: (items) => { now.show(items.map(itemOf), true); $("now").scrollTo({ top: 0, behavior: "smooth" }); },
  back: () => { if (state.answered) now.show(state.answered, true); },
});

const itemOf = (entry) => ({
  id: String(entry.id), title: entry.fields?.title ?? entry.title ?? state.titles.get(entry.id) ?? entry.id, price: entry.fields?.price ?? entry.price, reason: entry.reason, told: toldOf(entry), viewed: state.viewed.has(String(entry.id)),
});

function trouble(error) {
  const notice = $("notice");
  notice.hidden = !error;
  if (error) text(notice, error.status === 429 ? "The node is busy and refused early; trying again." : error.status === 401 ? "This node wants an API key: open /shop#key=YOUR_KEY." : `The node did not answer: ${error.message}`);
}

async function decide(why) {
  const serial = ++state.serial;
  const started = performance.now();
  try {
    const answer = await client.decide(SURFACE, { inputs: { page: "home" }, limit: LIMIT, profiled: state.profiled, ...(ahead() > 0 ? { ahead_ms: Math.round(ahead()) } : {}) });
    if (serial !== state.serial) return; // a later question was asked meanwhile
    trouble(null);
    showNow(answer, why, performance.now() - started);
  } catch (error) {
    if (serial === state.serial) trouble(error);
  }
}

function showNow(answer, why, tookMs) {
  if (supposed.isOpen()) return; // a page that is only supposed stays until it is left
  const items = (answer.items ?? []).map(itemOf);
  for (const item of items) state.titles.set(item.id, item.title);
  const same = state.decision && items.length === now.order().length && items.every((item, index) => item.id === now.order()[index]);
  const budget = answer.budget ?? {};
  const total = typeof budget.total === "number" ? budget.total : null;
  const line = why?.clickedAt ? [] : [answer.profiled === false || !state.profiled ? "No personal data read" : answer.cold ? "A stranger: what is popular now" : "For this visitor, now"];
  line.push(total === null ? `Answered in ${ms(tookMs)}` : `Decided in ${ms(total)}${budget.window_ms ? ` of ${budget.window_ms} ms` : ""}`);
  if (answer.degraded?.length) line.push("with a fallback");
  if (why?.clickedAt) line.push(`on screen ${ms(performance.now() - why.clickedAt)} after your tap`);
  text($("now-line"), line.join(" · "));
  text($("now-chip"), state.fastSince !== null ? `time ×${SPEED}` : ahead() > 0 ? `reading ${duration(ahead())} ahead` : !state.profiled ? "profiling off" : "live");
  if (same && !why?.clickedAt) return; // nothing to draw; cards keep the decision that put them there
  const change = now.show(items, Boolean(state.decision) && why?.fresh !== true);
  state.decision = answer.decision_id;
  state.answered = items;
  watch();
  if (why?.clickedAt) $("now").scrollTo({ top: 0, behavior: "smooth" });
  if (change.moved + change.entered > 0 && why?.fresh !== true) {
    text($("announce"), `Now is re-ordered: ${change.moved} moved, ${change.entered} new. First is ${pretty(items[0]?.title)}.`);
  }
}

async function react(event, item, rank) {
  const clickedAt = performance.now();
  supposed.leave(true);
  backToNow();
  if (!state.profiled) {
    text($("said"), "Profiling is off, so this tap was not sent.");
    return;
  }
  state.viewed.add(item.id);
  for (const list of [now, night]) list.card(item.id)?.classList.add("viewed");
  try {
    const properties = { product_id: item.id, item_id: item.id, price: item.price };
    if (rank !== null && state.decision) Object.assign(properties, { decision_id: state.decision, position: rank, surface: SURFACE });
    await client.track(event, properties);
    text($("said"), `${event === "Product Added" ? "Added" : "Viewed"}: ${pretty(item.title)}. On disk ${ms(performance.now() - clickedAt)} after the tap.`);
    trouble(null);
  } catch (error) {
    trouble(error);
    return;
  }
  await Promise.all([decide({ clickedAt }), readInterests()]);
}

// Beacons: a card that was really seen, once per decision.
const seen = { decision: null, timers: new Map(), sent: new Set(), waiting: [] };
const eye = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const id = target.dataset.id;
    clearTimeout(seen.timers.get(id));
    if (isIntersecting && !seen.sent.has(id)) seen.timers.set(id, setTimeout(() => noteSeen(id), SEEN_AFTER_MS));
  }
}, { root: $("now"), threshold: 0.5 });

function watch() {
  flush();
  eye.disconnect();
  for (const timer of seen.timers.values()) clearTimeout(timer);
  seen.timers.clear();
  seen.sent.clear();
  seen.decision = state.decision;
  for (const id of now.order()) eye.observe(now.card(id));
}

function noteSeen(id) {
  if (seen.sent.has(id)) return;
  seen.sent.add(id);
  const position = now.order().indexOf(id) + 1;
  if (!seen.waiting.length) setTimeout(flush, 400);
  seen.waiting.push({ id, position });
}

function flush() {
  const items = seen.waiting.splice(0);
  if (items.length && seen.decision && state.profiled) nextpaint.impressions({ decision_id: seen.decision, surface: SURFACE, items });
}

async function explain(item, rank, panel) {
  const decision = state.decision;
  try {
    const record = readRecord(await client.call("GET", `/v1/decisions/${encodeURIComponent(decision)}?view=support`));
    const found = record.items.find((each) => each.id === item.id) ?? { id: item.id, facts: [], sentence: item.reason };
    // A miss that something held back says more than one that scored a little less; the nearest place comes first.
    const near = record.near.sort((a, b) => (a.cause === "rank") - (b.cause === "rank") || Math.abs((a.rank ?? 99) - rank) - Math.abs((b.rank ?? 99) - rank)).slice(0, 1);
    panel.replaceChildren(
      h("p", { class: "reason" }, sentenceOf(found, record)), signedBars(found, 4), factList(found, 5),
      ...near.map((each) => nearMiss(each, (id) => state.titles.get(id))),
      !record.profiled ? h("p", { class: "near" }, "No personal data read.") : "", supposed.toggles(item),
      record.kept ? h("p", { class: "quiet small" }, record.kept) : "",
      h("p", { class: "links" }, h("a", { href: `/why/${encodeURIComponent(decision)}` }, "The full record")),
    );
  } catch (error) {
    panel.replaceChildren(h("p", { class: "quiet small" }, `The record could not be read: ${error.message}`));
  }
}

async function readInterests() {
  if (!state.profiled) return;
  const visitor = nextpaint.anonymousId;
  const asOf = readingTime();
  try {
    const answer = await client.call("GET", `/shop/api/context?anonymousId=${encodeURIComponent(visitor)}${ahead() > 0 ? `&ahead_ms=${Math.round(ahead())}` : ""}`);
    if (visitor === nextpaint.anonymousId && state.profiled) strip.take(answer, asOf);
  } catch (error) {
    trouble(error);
  }
}

function setFast(on) {
  if (on) state.fastSince = performance.now();
  else Object.assign(state, { aheadMs: 0, fastSince: null });
  $("fast").setAttribute("aria-pressed", String(on));
  text($("fast"), on ? "Back to now" : "Time ×60");
}
function backToNow() {
  if (state.fastSince !== null || state.aheadMs > 0) setFast(false);
}

$("fast").addEventListener("click", () => {
  supposed.leave(false);
  setFast(state.fastSince === null);
  readInterests();
  decide({});
});
$("profiling").addEventListener("click", () => {
  supposed.leave(false);
  state.profiled = !state.profiled;
  $("profiling").setAttribute("aria-pressed", String(!state.profiled));
  text($("profiling"), state.profiled ? "Turn profiling off" : "Turn profiling on");
  text($("said"), state.profiled ? "Profiling is on again." : "Profiling is off: no personal data read, no taps sent.");
  if (state.profiled) readInterests();
  else strip.clear("Not read: profiling is off.");
  decide({});
});
function startAnew(said) {
  supposed.leave(false);
  backToNow();
  nextpaint.reset();
  client.forget();
  state.viewed.clear();
  for (const card of document.querySelectorAll(".card.viewed")) card.classList.remove("viewed");
  strip.clear();
  text($("said"), said);
  decide({});
}
$("stranger").addEventListener("click", () => startAnew("A new visitor: nothing is known."));

/** Everything about this visitor is erased, and the receipt says of every store what became of it. */
$("forget").addEventListener("click", async () => {
  const visitor = nextpaint.anonymousId;
  $("forget").disabled = true;
  text($("said"), "Forgetting…");
  try {
    seen.waiting.splice(0);
    await nextpaint.flush(); // what waits here must not come after, as somebody new
    const receipt = await client.call("DELETE", `/v1/person?anonymousId=${encodeURIComponent(visitor)}&purpose=${encodeURIComponent("asked on the shop's page")}`);
    drawReceipt(receipt);
    startAnew(receipt.erased ? "You are forgotten: whoever comes next is somebody new." : receipt.text);
  } catch (error) {
    text($("said"), [error.message, error.cure].filter(Boolean).join(" · "));
  } finally {
    $("forget").disabled = false;
  }
});

function drawReceipt(receipt) {
  $("receipt").hidden = !receipt.erased;
  if (!receipt.erased) return;
  const { keys, state: rows } = receipt.stores;
  text($("receipt-line"), `Receipt ${receipt.id}: ${rows.rows_dropped} rows and ${keys.identifiers_destroyed} identifiers are gone`);
  $("receipt-stores").replaceChildren(...Object.entries(receipt.stores).map(([name, each]) => h("li", {}, h("b", {}, pretty(name.replaceAll("_", " "))), ` ${each.text}`)));
}

let tick = 0;
setInterval(() => {
  if (document.hidden) return;
  const alive = strip.draw();
  tick += 1;
  const fast = state.fastSince !== null;
  text($("clock"), fast ? `time ×${SPEED}: reading ${duration(ahead())} ahead` : "");
  if (tick % (fast ? 6 : 20) === 0) readInterests();
  // It drifts back by itself; while someone reads a "why" the cards stay where they are.
  if (!now.isOpen() && !supposed.isOpen() && (fast ? tick % 6 === 0 : tick % (alive ? 40 : 120) === 0)) decide({});
}, 250);
addEventListener("pagehide", flush);

try {
  const { items } = await client.call("GET", "/shop/api/last-night");
  for (const item of items) state.titles.set(String(item.id), item.title);
  night.show(items.slice(0, LIMIT).map((item) => ({ ...item, id: String(item.id) })), false);
} catch (error) {
  trouble(error);
}
nextpaint.page("Home");
await Promise.all([decide({ fresh: true }), readInterests()]);
document.documentElement.dataset.ready = "1";
