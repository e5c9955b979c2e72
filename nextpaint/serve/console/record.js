// A decision's record, in the support view of GET /v1/decisions/ID, as these pages read and draw it. An older record may
// lack a part; then that part is not drawn.

import { duration, h, pretty } from "./dom.js";

const list = (value) => (Array.isArray(value) ? value : []);
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

const WORDS = { sim: "like what you viewed", heat: "your interest", trend: "popular now", together: "bought together" };
const VAGUE = new Set(["heat", "score", "value", "count", "n"]); // columns that say little without their table
export const words = (name) => {
  const parts = String(name ?? "").split(".");
  const last = parts.at(-1);
  return WORDS[name] ?? (parts.length > 1 && VAGUE.has(last) ? parts.slice(-2).join(" ") : last).replaceAll("_", " ");
};

export function readRecord(raw) {
  const record = raw ?? {};
  return {
    id: String(record.decision_id ?? ""), surface: String(record.surface ?? ""), atMs: number(record.time_ms), position: record.position ?? null,
    profiled: record.profiled !== false, cold: record.cold === true, considered: number(record.considered), rankedBy: String(record.rank ?? ""), replay: record.replay ?? null, kept: String(record.kept ?? ""), raw,
    items: list(record.items).map((item, index) => ({
      id: String(item.id), rank: number(item.position) ?? index + 1, title: item.title || null, score: number(item.score), sentence: item.sentence ?? "", foundBy: list(item.found_by),
      facts: list(item.facts).map((fact) => ({ name: String(fact.feature ?? fact.source ?? ""), source: String(fact.source ?? ""), value: fact.value ?? null, ageMs: number(fact.age_ms), personal: fact.personal === true, amount: number(fact.contribution) })),
    })),
    near: list(record.near_misses).map((miss) => ({ id: String(miss.id), title: miss.title || null, rank: number(miss.would_be) || null, cause: String(miss.cause ?? ""), by: String(miss.by ?? ""), saw: String(miss.saw ?? ""), ageMs: number(miss.age_ms), text: String(miss.text ?? "") })),
    filters: list(record.filters).map((each) => ({ name: String(each.filter ?? ""), removed: number(each.removed) ?? 0 })),
    stages: list(record.stages).map((each) => ({ name: String(each.stage ?? ""), ms: number(each.ms) ?? 0, path: String(each.path ?? ""), note: String(each.note ?? "") })),
    retrieved: list(record.retrieved).map((each) => ({ name: String(each.retriever ?? ""), found: number(each.found) ?? 0 })),
    otherwise: list(record.counterfactuals).map((each) => ({ kind: String(each.kind ?? ""), text: String(each.text ?? ""), personal: each.personal === true })),
    degraded: list(record.degraded), effects: list(record.effects),
  };
}

/** One sentence for an item: the record's own words. */
export function sentenceOf(item, record) {
  if (item.sentence) return item.sentence;
  return record.profiled ? "Many people look at it right now." : "Many people look at it right now; nothing about you was read.";
}

/** What counted for and against an item, strongest first. */
export function signedBars(item, most = 5) {
  const shown = item.facts.filter((fact) => fact.amount !== null && Math.abs(fact.amount) >= 0.0005).sort((a, b) => Math.abs(b.amount) - Math.abs(a.amount)).slice(0, most);
  if (!shown.length) return "";
  const scale = Math.max(...shown.map((each) => Math.abs(each.amount)), 1e-9);
  return h("ul", { class: "signed", "aria-label": "What counted, for and against" }, shown.map((each) => {
    const width = (Math.abs(each.amount) / scale) * 50;
    const against = each.amount < 0;
    return h("li", {}, h("span", { title: each.source }, words(each.name)),
      h("span", { class: "axis", "aria-hidden": "true" }, h("i", { class: against ? "minus" : null, style: { width: `${width}%`, left: against ? `${50 - width}%` : "50%" } })),
      h("span", { class: "amount" }, `${against ? "−" : "+"}${Math.abs(each.amount).toFixed(2)}`));
  }));
}

const said = (value) => (value === null ? "unknown" : typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value));

/** Each fact as it was read, and how old it was then. */
export function factList(item, most = 6) {
  return h("ul", { class: "facts" }, item.facts.slice(0, most).map((each) => h("li", { title: each.source }, words(each.name), " ", h("b", {}, said(each.value)),
    each.ageMs === null ? "" : `, read ${duration(each.ageMs)} ago`, each.personal ? h("span", { class: "chip" }, "personal") : "")));
}

const ordinal = (value) => `${value}${value % 100 > 10 && value % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][value % 10] ?? "th"}`;

export function nearMiss(miss, titleOf) {
  const name = pretty(miss.title ?? titleOf(miss.id) ?? miss.id);
  const why = miss.cause === "rank" ? miss.text : `${miss.rank ? `would be ${ordinal(miss.rank)}: ` : ""}${miss.cause === "rule" ? "moved down" : "hidden"}${miss.saw ? `, ${miss.saw}` : miss.by ? `, ${miss.by}` : ""}${miss.ageMs === null ? "" : `, read ${duration(miss.ageMs)} ago`}`;
  return h("p", { class: "near", title: miss.by || null }, h("b", {}, name), ` ${why}`);
}
