// Merchandising rules: what the shop's people set, by whom, why, until when; put, changed and taken away through the API.

import { $, duration, h, pretty, text } from "./dom.js";

const KINDS = { hide: "Hide", bury: "Move down", boost: "Move up", cap: "At most on a page", frequency: "Not again after", pin: "Pin at place", price: "Change the price by %", badge: "Badge" };
const EDITED = ["kind", "items", "by", "text", "owner", "reason", "hours"];

const target = (rule) => [rule.items?.length ? `${rule.items.slice(0, 3).join(", ")}${rule.items.length > 3 ? ` and ${rule.items.length - 3} more` : ""}` : "", ...Object.entries(rule.where ?? {}).map(([column, value]) => `${column} ${value}`),
  rule.when ? `${rule.when.feature} ${rule.when.least ?? "…"} to ${rule.when.most ?? "…"}` : ""].filter(Boolean).join("; ");

function until(rule) {
  if (!rule.expires_ms) return h("span", { class: "quiet" }, "no end");
  const left = rule.expires_ms - Date.now();
  return left > 0 ? h("span", {}, `${duration(left)} left`) : h("span", { class: "chip" }, "over");
}

export function rulesBox(client) {
  let shown = "";

  async function read() {
    const { rules } = await client.call("GET", "/v1/rules");
    const key = JSON.stringify(rules) + Math.floor(Date.now() / 30000);
    if (key === shown) return;
    shown = key;
    const rows = rules.map((rule) => h("tr", { class: rule.expires_ms && rule.expires_ms < Date.now() ? "over" : null }, h("th", { scope: "row" }, rule.rule_id, " ", rule.sponsored ? h("span", { class: "chip now", title: `on behalf of ${rule.behalf}, paid by ${rule.paid}` }, "sponsored") : ""),
      h("td", {}, `${KINDS[rule.kind] ?? rule.kind}${rule.by ? ` ${rule.by}` : ""}${rule.text ? ` “${rule.text}”` : ""}`, h("small", {}, target(rule))), h("td", {}, rule.surface === "*" ? "everywhere" : rule.surface), h("td", {}, rule.reason, h("small", {}, rule.owner)), h("td", {}, until(rule)),
      h("td", { class: "do" }, h("button", { type: "button", "aria-label": `Change rule ${rule.rule_id}`, onclick: () => edit(rule) }, "Change"), h("button", { type: "button", class: "kill", "aria-label": `Take rule ${rule.rule_id} away`, onclick: () => kill(rule) }, "Take away"))));
    $("rules").replaceChildren(rows.length ? h("table", {}, h("thead", {}, h("tr", {}, ["Rule", "What it does", "Where", "Why, and who", "Until", ""].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)) : h("p", { class: "quiet" }, "No rules: pages are as ranked."));
  }

  function say(words, bad = false) {
    text($("rules-said"), words);
    $("rules-said").classList.toggle("bad", bad);
  }

  async function act(words, call) {
    try {
      const answer = await call();
      shown = "";
      await read();
      say(`${words} In force from position ${answer.position}.`);
      return true;
    } catch (error) {
      say([error.message, error.cure].filter(Boolean).join(" · "), true);
      return false;
    }
  }

  const address = (surface, id) => `/v1/rules/${encodeURIComponent(surface)}/${encodeURIComponent(id)}`;
  const kill = (rule) => act(`${rule.rule_id} is gone.`, () => client.call("DELETE", address(rule.surface, rule.rule_id)));

  /** The form, filled with a rule or empty. What it does not show of a rule is kept. */
  function edit(rule) {
    const form = $("rule-form");
    form.hidden = false;
    form.dataset.kept = JSON.stringify(rule ?? {});
    $("rule-id").value = rule?.rule_id ?? "";
    $("rule-id").readOnly = $("rule-surface").readOnly = Boolean(rule);
    $("rule-surface").value = rule?.surface ?? "*";
    for (const name of EDITED) $(`rule-${name}`).value = "";
    $("rule-kind").value = rule?.kind ?? "hide";
    $("rule-items").value = (rule?.items ?? []).join(", ");
    $("rule-by").value = rule?.by || "";
    $("rule-text").value = rule?.text ?? "";
    $("rule-owner").value = rule?.owner ?? "";
    $("rule-reason").value = rule?.reason ?? "";
    $("rule-hours").value = rule?.expires_ms ? Math.max(0, (rule.expires_ms - Date.now()) / 3.6e6).toFixed(1) : "";
    $(rule ? "rule-reason" : "rule-id").focus();
  }

  function body() {
    const { surface: _surface, rule_id: _id, since_ms: _since, position: _position, ...kept } = JSON.parse($("rule-form").dataset.kept || "{}");
    const items = $("rule-items").value.split(/[\s,]+/).filter(Boolean);
    const hours = Number($("rule-hours").value);
    return { ...kept, kind: $("rule-kind").value, items, by: Number($("rule-by").value) || 0, text: $("rule-text").value, owner: $("rule-owner").value, reason: $("rule-reason").value, expires_ms: hours > 0 ? Date.now() + Math.round(hours * 3.6e6) : null };
  }

  $("rule-kind").replaceChildren(...Object.entries(KINDS).map(([value, label]) => h("option", { value }, label)));
  $("rule-new").addEventListener("click", () => edit(null));
  $("rule-cancel").addEventListener("click", () => { $("rule-form").hidden = true; });
  $("rule-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const id = $("rule-id").value;
    if (await act(`${pretty(id)} is set.`, () => client.call("PUT", address($("rule-surface").value, id), body()))) $("rule-form").hidden = true;
  });

  return { read };
}
