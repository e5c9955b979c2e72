// A decision's record as these pages read it. Every field may be missing: an older record or a shorter view still shows.

import { duration, h, pretty } from "./dom.js";

const list = (value) => (Array.isArray(value) ? value : value && typeof value === "object" ? Object.entries(value).map(([name, inner]) => (inner && typeof inner === "object" && !Array.isArray(inner) ? { name, ...inner } : { name, value: inner })) : []);
const first = (...values) => values.find((value) => value !== undefined && value !== null);
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const moment = (value) => number(typeof value === "string" ? Date.parse(value) : value);
const idOf = (entry) => String(first(entry.id, entry.item_id, entry.item, entry.name, ""));

const WORDS = { sim: "like what you viewed", heat: "your interest", trend: "popular now", price: "price", recency: "new", bought_together: "bought together", stock: "stock" };
const VAGUE = new Set(["heat", "score", "value", "count", "n"]); // columns that say little without their table
export const words = (name) => {
  const parts = String(name ?? "").split(".");
  const last = parts.at(-1);
  return WORDS[name] ?? (parts.length > 1 && VAGUE.has(last) ? parts.slice(-2).join(" ") : last).replaceAll("_", " ");
};

function contributions(entry) {
  return list(first(entry.contributions, entry.contribution, entry.explanation, []))
    .map((each) => ({ name: String(first(each.label, each.feature, each.name, "")), amount: number(first(each.contribution, each.amount, each.points, each.value)), value: each.feature_value ?? (each.contribution !== undefined ? each.value : undefined) }))
    .filter((each) => each.amount !== null)
    .sort((a, b) => Math.abs(b.amount) - Math.abs(a.amount));
}

function facts(entry) {
  return list(first(entry.facts, entry.features, entry.values, entry.read, []))
    .map((each) => ({ name: String(first(each.label, each.name, each.feature, "")), value: each.value, age: number(first(each.age_ms, each.age, each.read_age_ms)), personal: each.personal === true }))
    .filter((each) => each.value !== undefined && typeof each.value !== "object" || each.age !== null);
}

/** {id, surface, atMs, position, items[], near[], filters[], stages[], sources[], budget, degraded[], profiled, cold, raw} */
export function readRecord(raw) {
  const record = raw?.record && typeof raw.record === "object" ? { ...raw, ...raw.record } : raw ?? {};
  const items = list(first(record.items, record.answer, record.answers, [])).map((entry, index) => ({
    id: idOf(entry), rank: number(first(entry.position, entry.rank)) ?? index + 1, title: first(entry.title, entry.fields?.title, null), score: number(entry.score),
    reason: first(entry.sentence, entry.reason, entry.why, ""), contributions: contributions(entry), facts: facts(entry), sources: list(entry.sources).map((each) => (typeof each === "string" ? each : first(each.name, each.value, ""))), near: first(entry.near_miss, null),
  }));
  const near = list(first(record.near_misses, record.nearMisses, record.near, [])).map((entry) => ({
    id: idOf(entry), title: first(entry.title, entry.fields?.title, null), rank: number(first(entry.would_be, entry.would_rank, entry.rank, entry.position)), score: number(entry.score),
    reason: String(first(entry.hidden_because, entry.because, entry.sentence, entry.why, entry.reason, entry.cause, entry.filter, "")), facts: facts(entry),
  }));
  const filters = list(first(record.filters, record.removed, [])).map((entry) => ({ name: String(first(entry.condition, entry.filter, entry.name, "")), removed: number(first(entry.removed, entry.count, entry.value)) ?? 0, ids: first(entry.ids, []) }));
  const stages = list(first(record.stages, record.timings, record.paths, [])).map((entry) => ({ name: String(first(entry.stage, entry.name, "")), ms: number(first(entry.ms, entry.took_ms, entry.value)), budget: number(first(entry.budget_ms, entry.budget)), path: first(entry.path, entry.used, "") }));
  return {
    id: String(first(record.decision_id, record.id, "")), surface: first(record.surface, ""), atMs: moment(first(record.at_ms, record.time_ms, record.as_of?.event_time)), position: first(record.as_of?.position, record.position, null),
    items, near, filters, stages, sources: list(first(record.sources, record.retrieved, record.candidates, [])).map((entry) => ({ name: String(first(entry.source, entry.name, "")), count: number(first(entry.count, entry.found, entry.value)) })),
    budget: first(record.budget, {}), degraded: list(record.degraded), profiled: record.profiled !== false, cold: record.cold === true, dataUsed: record.data_used, sentence: first(record.sentence, record.summary, ""), replay: first(raw?.replay, record.replay, null), raw,
  };
}

/** One sentence for an item: the record's own words, or its strongest reasons in ours. */
export function sentenceOf(item, record) {
  if (item.reason && /\s/.test(item.reason)) return item.reason;
  const because = item.contributions.filter((each) => each.amount > 0).slice(0, 2).map((each) => words(each.name));
  if (!record.profiled) return "Shown because many people buy it now. No personal data was read.";
  if (record.cold) return "Shown because it is popular now; nothing is known about you yet.";
  return because.length ? `Shown because of ${because.join(" and ")}.` : item.reason ? `Shown as ${words(item.reason)}.` : "Shown from what is popular now.";
}

export function signedBars(item, most = 5) {
  const shown = item.contributions.slice(0, most);
  const scale = Math.max(...shown.map((each) => Math.abs(each.amount)), 1e-9);
  return h("ul", { class: "signed", "aria-label": "What counted, for and against" }, shown.map((each) => {
    const width = (Math.abs(each.amount) / scale) * 50;
    const sign = each.amount < 0 ? "−" : "+";
    return h("li", {}, h("span", { title: each.name }, words(each.name)),
      h("span", { class: "axis", "aria-hidden": "true" }, h("i", { class: each.amount < 0 ? "minus" : null, style: { width: `${width}%`, left: each.amount < 0 ? `${50 - width}%` : "50%" } })),
      h("span", { class: "amount" }, `${sign}${Math.abs(each.amount).toFixed(2)}`));
  }));
}

const shown = (value) => (typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value === null ? "none" : String(value));

export function factList(item, most = 6) {
  return h("ul", { class: "facts" }, item.facts.slice(0, most).map((each) => h("li", {}, words(each.name), " ", h("b", {}, shown(each.value)), each.age === null ? "" : `, read ${duration(each.age)} ago`)));
}

const ordinal = (value) => `${value}${["th", "st", "nd", "rd"][value % 100 > 10 && value % 100 < 14 ? 0 : value % 10] ?? "th"}`;

export function nearMiss(entry, titleOf) {
  const name = pretty(entry.title ?? titleOf(entry.id) ?? entry.id);
  const why = entry.reason || entry.facts.map((each) => `${words(each.name)} ${shown(each.value)}`).join(", ");
  return h("p", { class: "near" }, h("b", {}, name), entry.rank ? ` would be ${ordinal(entry.rank)}` : " was close", why ? `: ${/^(hidden|below|score)/.test(why) ? why : `hidden, ${why}`}` : "");
}
