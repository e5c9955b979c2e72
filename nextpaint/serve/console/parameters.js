// How pages are chosen: the main parameters of every surface, as the node decides with them now.

import { createClient, keyOfThisTab } from "./client.js";
import { $, h, pretty, text } from "./dom.js";

const client = createClient({ key: keyOfThisTab(), who: () => "parameters" });
const percent = (value) => `${Math.round(value * 100)} %`;
const when = (ms) => new Date(ms).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
const sentence = (value) => value.charAt(0).toUpperCase() + value.slice(1);
const named = (name) => sentence(pretty(String(name).replaceAll("_", " ")));

function weight(each) {
  const says = each.direction === "down" ? "counts against an item" : each.direction === "none" ? "decides nothing" : null;
  return h("li", {}, h("span", { class: "name" }, named(each.name), " ", h("span", { class: each.personal ? "chip now" : "chip" }, each.personal ? "about you" : "not about you")), h("span", { class: "share" }, percent(each.share)),
    h("span", { class: each.personal ? "meter personal" : "meter", "aria-hidden": "true" }, h("i", { style: { width: `${(each.share * 100).toFixed(1)}%` } })),
    h("span", { class: "because" }, `${sentence(each.means)}${says ? `; ${says}` : ""}. ${each.because}`));
}

const listed = (title, list) => (list.length ? [h("h3", {}, title), h("ul", { class: "plain" }, list.map((each) => h("li", { title: each.declared || null }, each.text)))] : []);

function rule(each) {
  const paid = each.sponsored ? ` Paid: shown on behalf of ${each.behalf}, paid by ${each.paid}.` : "";
  const until = each.expires_ms ? ` Until ${when(each.expires_ms)}.` : "";
  return { text: `${sentence(each.kind)}: ${each.reason}.${paid}${each.kind === "price" && each.personal ? " The price depends on personal data." : ""}${until}`, declared: each.rule_id };
}

function surface(each) {
  const model = each.model?.champion || each.model?.challenger;
  return h("section", { class: "panel surface", id: each.surface }, h("h2", {}, named(each.surface)),
    h("p", { class: "quiet" }, `Up to ${each.limit} items, for the purpose “${each.purpose}”: ${each.ranked_by.text}.`),
    model ? h("p", { class: "quiet small" }, `A trained model ranks now (${(each.model.champion ?? each.model.challenger).slice(0, 12)}); it uses the same parameters.`) : "",
    each.parameters.length ? [h("h3", {}, "What matters most"), h("ol", { class: "weights" }, each.parameters.map(weight))] : "",
    listed("Where the items come from", each.sources), each.filled_from ? h("p", { class: "quiet small" }, `If that is too little: ${each.filled_from.text.toLowerCase()}.`) : "",
    listed("What is never shown", each.never_shown), listed("For the page as a whole", each.page_rules), listed("What the shop’s people set", each.rules.map(rule)),
    listed("What is tried out", [each.exploration, each.experiment].filter(Boolean)),
    h("p", { class: "without" }, each.profiling.without), h("p", { class: "quiet small" }, `Version ${each.version}`));
}

try {
  const told = await client.call("GET", "/v1/parameters");
  $("rights").replaceChildren(...(told.surfaces[0]?.changes ?? []).map((each) => h("li", {}, h("span", {}, each))));
  $("surfaces").replaceChildren(...told.surfaces.map(surface));
  $("log").replaceChildren(...told.log.slice(0, 50).map((each) => h("li", {}, h("span", { class: "quiet" }, when(each.at_ms)), h("span", { class: "what" }, h("b", {}, named(each.surface)), each.changed.map((line) => h("span", {}, line))))));
  text($("as-of"), `${told.application.title}, as of ${when(told.as_of_ms)}. The same as data: /v1/parameters`);
  document.documentElement.dataset.ready = "1";
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch (error) {
  $("notice").hidden = false;
  text($("notice"), `This page could not be read: ${error.message}`);
}
