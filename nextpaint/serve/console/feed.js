// The feed page: what a streaming service would show, decided anew when a story ends. It speaks to the node as such a
// service would: Segment's video events in, decisions out.

import { createClient, keyOfThisTab, loadNextpaint } from "./client.js";
import { $, duration, h, ms, text } from "./dom.js";
import { interestStrip } from "./interests.js";
import { player } from "./player.js";
import { shelf } from "./posters.js";
import { toldOf } from "./told.js";

const SPEED = 600;
const AHEAD_MAX_MS = 24 * 3600 * 1000;
const SHOWN_AFTER_MS = 1500; // a page that stood for this long was seen
const CREDITS_SHARE = 0.06;

const key = keyOfThisTab();
const nextpaint = await loadNextpaint(key);
const client = createClient({ key, who: () => nextpaint.anonymousId });
const state = { profiled: true, decision: null, serial: 0, fastSince: null, shown: null };

const ahead = () => (state.fastSince === null ? 0 : Math.min(AHEAD_MAX_MS, (performance.now() - state.fastSince) * (SPEED - 1)));
const strip = interestStrip($("bars"), $("interests-line"), () => Date.now() + ahead());
const rows = {
  tonight: shelf($("tonight"), { pick: (film) => screen.play(film) }),
  keep_watching: shelf($("keep_watching"), { pick: (film) => screen.play(film), ranked: false }),
  everybody: shelf($("everybody"), { pick: (film) => screen.play(film), ranked: false }),
};

const screen = player({
  started: (film) => { light(film); watched("Video Content Started", film, 0).then(readMood); },
  quarter: (film, share) => watched("Video Content Playing", film, share),
  left: (film, share) => watched("Video Playback Exited", film, share).then(() => decideAll({})),
  credits,
  over: () => next(),
});

function trouble(error) {
  $("notice").hidden = !error;
  if (error) text($("notice"), error.status === 429 ? "The node is busy and refused early; trying again." : error.status === 401 ? "This node wants an API key: open /feed#key=YOUR_KEY." : `The node did not answer: ${error.message}`);
}

const films = (answer) => (answer.items ?? []).map((item) => ({
  id: String(item.id), title: item.fields?.title ?? item.id, kind: item.fields?.kind ?? "", maker: item.fields?.maker ?? "", starring: item.fields?.starring ?? "",
  released: item.fields?.released ?? "", runtime: item.fields?.runtime_min ?? 90, age: item.fields?.age ?? 0, synopsis: item.fields?.synopsis ?? "", reached: item.fields?.reached ?? 0,
  reason: item.reason ?? "", told: toldOf(item), decision: answer.decision_id, place: item.position,
}));

const ask = (surface) => client.decide(surface, { inputs: { page: "feed", age: Number($("age").value) }, profiled: state.profiled && surface !== "everybody", ...(ahead() > 0 ? { ahead_ms: Math.round(ahead()) } : {}) });

/** One event of the film, answered when it is on disk. */
async function watched(event, film, share) {
  if (!state.profiled) return;
  const seconds = Math.round(film.runtime * 60 * (1 - CREDITS_SHARE));
  const properties = { item_id: film.id, content_asset_id: film.id, title: film.title, position: Math.round(share * seconds), total_length: seconds, decision_id: film.decision };
  try {
    await client.track(event, properties);
    trouble(null);
  } catch (error) {
    trouble(error);
  }
}

/** The story is over: say so, and have the next page while the names still roll. */
async function credits(film) {
  const began = performance.now();
  await watched("Video Content Completed", film, 1);
  const onDisk = performance.now() - began;
  await decideTonight({ ending: true });
  text($("said"), "the row below is new");
  $("measured").replaceChildren(h("b", {}, ms(performance.now() - began)), ` after the credits began the next row was on screen; on disk after ${ms(onDisk)}. The credits go on for ${duration(screen.creditsLeftMs())}.`);
  await Promise.all([decideOther("keep_watching"), decideOther("everybody"), readMood()]);
}

async function decideTonight({ fresh = false, ending = false }) {
  const serial = ++state.serial;
  const started = performance.now();
  try {
    const answer = await ask("tonight");
    if (serial !== state.serial) return;
    trouble(null);
    const list = films(answer);
    const change = rows.tonight.show(list, Boolean(state.decision) && !fresh);
    state.decision = answer.decision_id;
    line(answer, performance.now() - started);
    seen(answer);
    if (!screen.film()) screen.show(list[0]);
    else if (!screen.running()) why(screen.film());
    if (ending) text($("announce"), `The row is re-ordered: ${change.moved} moved, ${change.entered} new. First is ${list[0]?.title}.`);
  } catch (error) {
    if (serial === state.serial) trouble(error);
  }
}

function line(answer, tookMs) {
  const said = [!state.profiled ? "No personal data read" : answer.cold ? "A stranger: what is popular and what is new" : "For this viewer, now"];
  const total = answer.budget?.total;
  said.push(typeof total === "number" ? `decided in ${ms(total)} of ${answer.budget.window_ms ?? 500} ms` : `answered in ${ms(tookMs)}`);
  if (ahead() > 0) said.push(`read ${duration(ahead())} ahead`);
  if (answer.degraded?.length) said.push("with a fallback");
  text($("tonight-line"), said.join(" · "));
}

async function decideOther(surface) {
  try {
    const list = films(await ask(surface));
    rows[surface].show(list, false);
    if (surface === "keep_watching") $("keep").hidden = !list.length;
  } catch (error) {
    trouble(error);
  }
}

const decideAll = (how) => Promise.all([decideTonight(how), decideOther("keep_watching"), decideOther("everybody"), readMood()]);

function seen(answer) {
  clearTimeout(state.shown);
  if (!state.profiled || ahead() > 0) return;
  state.shown = setTimeout(() => nextpaint.impressions({ ...answer, items: answer.items.map((item, index) => ({ id: item.id, position: index + 1 })) }), SHOWN_AFTER_MS);
}

function light(film) {
  for (const row of Object.values(rows)) row.light(film.id);
  text($("said"), "");
  why(film);
}

function why(film) {
  $("why").hidden = !film?.decision;
  if (film?.decision) $("why").href = `/why/${encodeURIComponent(film.decision)}`;
}

/** The credits are through: the first of the row is up next. */
function next() {
  const first = document.querySelector("#tonight .poster button");
  text($("said"), first ? "Up next: the first of the row" : "");
}

async function readMood() {
  if (!state.profiled) return;
  const viewer = nextpaint.anonymousId;
  const asOf = Date.now() + ahead();
  try {
    const answer = await client.call("GET", `/shop/api/context?anonymousId=${encodeURIComponent(viewer)}${ahead() > 0 ? `&ahead_ms=${Math.round(ahead())}` : ""}`);
    if (viewer === nextpaint.anonymousId && state.profiled) strip.take(answer, asOf);
  } catch (error) {
    trouble(error);
  }
}

$("fast").addEventListener("click", () => {
  state.fastSince = state.fastSince === null ? performance.now() : null;
  $("fast").setAttribute("aria-pressed", String(state.fastSince !== null));
  text($("fast"), state.fastSince === null ? `Time ×${SPEED}` : "Back to now");
  decideAll({});
});
$("profiling").addEventListener("click", () => {
  state.profiled = !state.profiled;
  $("profiling").setAttribute("aria-pressed", String(!state.profiled));
  text($("profiling"), state.profiled ? "Profiling off" : "Profiling on");
  if (!state.profiled) strip.clear("Not read: profiling is off.");
  decideAll({});
});
$("stranger").addEventListener("click", () => {
  screen.leave();
  nextpaint.reset();
  client.forget();
  strip.clear();
  for (const row of Object.values(rows)) row.light(null);
  decideAll({ fresh: true });
});
$("age").addEventListener("change", () => decideAll({}));

let tick = 0;
setInterval(() => {
  if (document.hidden) return;
  strip.draw();
  tick += 1;
  if (ahead() > 0 && tick % 6 === 0) decideAll({});
  else if (tick % 20 === 0) Promise.all([decideOther("everybody"), readMood()]);
}, 250);

nextpaint.page("Feed");
await decideAll({ fresh: true });
document.documentElement.dataset.ready = "1";
