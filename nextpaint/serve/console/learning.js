// What the node has learned: the running score on real orders, experiments, and arms with their intervals.

import { $, count, h, pretty, text } from "./dom.js";

const percent = (value, digits = 1) => (typeof value === "number" ? `${(value * 100).toFixed(digits)} %` : "–");
const signed = (value, digits = 1) => (typeof value === "number" ? `${value < 0 ? "−" : "+"}${Math.abs(value * 100).toFixed(digits)}` : "–");
const named = (name) => pretty(String(name).replaceAll("_", " "));

/** A value with its 95 % interval on an axis from `least` to `most`. */
function whisker(value, interval, [least, most], kind = "") {
  const at = (x) => `${(100 * Math.min(1, Math.max(0, (x - least) / (most - least || 1)))).toFixed(2)}%`;
  const parts = [];
  if (interval) parts.push(h("i", { style: { left: at(interval[0]), width: `calc(${at(interval[1])} - ${at(interval[0])})` } }));
  if (typeof value === "number") parts.push(h("b", { style: { left: at(value) } }));
  if (least < 0 && most > 0) parts.push(h("u", { style: { left: at(0) } }));
  return h("span", { class: `whisker ${kind}`, "aria-hidden": "true" }, parts);
}

const said = (interval, form = percent) => (interval ? `${form(interval[0])} to ${form(interval[1])}` : "no interval yet");

// ---------------------------------------------------------------- the running score

const METHODS = { ours: "This node", "last basket": "The customer’s last basket", popularity: "What sells most" };

export function drawScore(score) {
  const panel = $("score-panel");
  panel.hidden = !score;
  if (!score) return;
  const enough = score.methods.length > 0;
  const line = score.silent || (enough ? `${count(score.targets)} real orders, ${count(score.known_customers)} of customers who had bought before. Each list of ${score.listed} was made before any line of its order was known; a hit is a list that held something the order then bought.`
    : `Real orders are replayed, and each is guessed before it is known. Nothing is shown before ${score.needed} of them: fewer would say nothing.`);
  text($("score-line"), line + (score.finished ? " The first round is over: these orders are known now." : ""));
  if (!enough) {
    const part = Math.min(1, score.targets / score.needed);
    $("score").replaceChildren(score.silent ? "" : h("div", { class: "waiting" }, h("span", { class: "meter", "aria-hidden": "true" }, h("i", { style: { width: `${(part * 100).toFixed(1)}%` } })), h("p", { class: "quiet small" }, `${score.targets} of ${score.needed} orders`)));
    return;
  }
  const most = Math.max(...score.methods.map((each) => each.interval[1]));
  $("score").replaceChildren(h("ul", { class: "methods" }, score.methods.map((each) => {
    const ours = each.method === "ours";
    const better = ours ? null : each.better_interval[0] > 0 ? "good" : each.better_interval[1] < 0 ? "bad" : "";
    const difference = ours ? `${each.found_per_list.toFixed(2)} of ten bought` : better ? `we are ${better === "good" ? "ahead" : "behind"} by ${Math.abs(each.ours_better_by * 100).toFixed(1)} points` : "no difference that holds";
    return h("li", { class: ours ? "ours" : null }, h("span", { class: "name" }, METHODS[each.method] ?? each.method), h("span", { class: "amount" }, percent(each.hit)),
      whisker(each.hit, each.interval, [0, most * 1.05], ours ? "now" : ""), h("span", { class: "note" }, ours ? difference : h("span", { class: `chip ${better}`, title: `95 %: ${said(each.better_interval, signed)} points` }, difference)));
  })));
}

// ---------------------------------------------------------------- experiments

const PEOPLE_MIN = 30; // below, a normal interval promises more than it holds

function variant(each, scale, control, controls) {
  const enough = Math.min(each.people, controls) >= PEOPLE_MIN;
  const differs = enough && each.difference_interval && (each.difference_interval[0] > 0 ? "good" : each.difference_interval[1] < 0 ? "bad" : "");
  const verdict = each.variant === control ? "control" : each.variant === "holdout" ? "held out" : !enough || !each.difference_interval ? "too few people to say" : differs ? `${signed(each.difference, 2)} per 100 people` : "no difference that holds";
  return h("tr", {}, h("th", { scope: "row" }, named(each.variant)), h("td", { class: "number" }, count(each.people)), h("td", { class: "number" }, count(each.decisions)),
    h("td", { class: "wide-cell" }, h("span", { class: "rate" }, each.people ? each.reward_per_person.toFixed(3) : "–"), whisker(each.people ? each.reward_per_person : null, each.interval, scale, each.variant === control ? "" : "now")),
    h("td", {}, h("span", { class: `chip ${differs || ""}`, title: each.difference_interval ? `95 %: ${said(each.difference_interval, (x) => x.toFixed(3))}` : null }, verdict)));
}

export function drawExperiments(experiments) {
  $("experiments-panel").hidden = !experiments.length;
  $("experiments").replaceChildren(...experiments.map((each) => {
    const ends = each.variants.flatMap((one) => (one.interval ? one.interval : one.people ? [one.reward_per_person] : []));
    const scale = [Math.min(0, ...ends), Math.max(1e-9, ...ends) * 1.05];
    const worst = Math.max(0, ...each.variants.map((one) => Math.abs(one.mismatch ?? 0)));
    return h("div", { class: "experiment" }, h("h3", {}, named(each.experiment), " ", h("span", { class: "chip" }, each.surfaces.map(named).join(", ")), " ",
      h("span", { class: worst > 3 ? "chip bad" : "chip good", title: "How far the numbers of people are from the declared shares, in standard deviations" }, worst > 3 ? `people divided wrongly (${worst.toFixed(1)} σ)` : "people divided as declared")),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Variant"), h("th", { scope: "col", class: "number" }, "People shown"), h("th", { scope: "col", class: "number" }, "Decisions"), h("th", { scope: "col" }, "Reward per person, 95 %"), h("th", { scope: "col" }, "Against control"))),
      h("tbody", {}, each.variants.map((one) => variant(one, scale, each.control, each.variants.find((base) => base.variant === each.control)?.people ?? 0)))));
  }));
}

// ---------------------------------------------------------------- arms

const SHOWN_ARMS = 14;

export function drawArms(learners) {
  const active = learners.filter((each) => each.arms.length);
  $("arms-panel").hidden = !active.length;
  $("arms").replaceChildren(...active.map((each) => {
    const shown = [...each.arms.slice(0, SHOWN_ARMS)].sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0));
    const most = Math.max(1e-9, ...shown.map((arm) => (arm.trials >= 20 ? arm.interval?.[1] ?? 0 : arm.rate ?? 0)));
    const lost = Object.entries(each.counts).filter(([name]) => !["decisions", "trials", "rewards"].includes(name) && each.counts[name]);
    return h("div", { class: "learner" }, h("p", { class: "quiet small" }, `${named(each.learner.replace(/^_learned_/, "").replace(/_[0-9a-f]{8}$/, ""))}: ${count(each.counts.decisions ?? 0)} decisions, ${count(each.counts.trials ?? 0)} showings, ${count(each.counts.rewards ?? 0)} rewards, each counted once. `,
      lost.length ? `Not counted: ${lost.map(([name, number]) => `${count(number)} ${name}`).join(", ")}.` : ""),
    h("p", { class: "regret" }, h("b", {}, each.regret.rewards.toFixed(1)), ` rewards given up to find out (${percent(each.regret.share)} of what the best arm would have had, by what is known now)`),
    h("ul", { class: "arms" }, shown.map((arm) => h("li", {}, h("span", { class: "name" }, pretty(arm.arm)), whisker(arm.rate, arm.interval, [0, most]), h("span", { class: "amount", title: `95 %: ${said(arm.interval)}` }, percent(arm.rate)), h("span", { class: "quiet small amount" }, `${count(Math.round(arm.trials))} shown`)))),
    each.arms.length > SHOWN_ARMS || each.more ? h("p", { class: "quiet small" }, `and ${each.arms.length - Math.min(each.arms.length, SHOWN_ARMS) + each.more} more`) : "");
  }));
}
