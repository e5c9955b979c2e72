// The screen: a film in half a minute. It says when the story begins, each quarter, when the credits begin, and who left.

import { $, h, text } from "./dom.js";
import { minutes, posterOf } from "./posters.js";

const STORY_MS = 24_000; // what a story takes here, whatever its running time
const CREDITS_MS = 12_000;
const SOON_MS = 12_000; // before the credits
const CREDITS_SHARE = 0.06; // of the running time

const clock = (seconds) => `${Math.floor(seconds / 3600)}:${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}:${String(Math.floor(seconds) % 60).padStart(2, "0")}`;
const JOBS = ["Directed by", "Starring", "With", "And", "Costumes", "Second unit", "The cat", "Catering", "Thanks to"];

/** events: {started(film), quarter(film, share), credits(film), left(film, share), over(film)}. */
export function player(events) {
  let film = null;
  let elapsed = 0; // ms of story and credits, here
  let running = false;
  let last = 0;
  let told = 0; // quarters said

  const inCredits = () => elapsed >= STORY_MS;
  const share = () => Math.min(1, elapsed / STORY_MS);

  function names() {
    const cast = [film.maker, ...film.starring.split(", ")];
    $("names").replaceChildren(...JOBS.map((job, index) => h("p", {}, h("small", {}, job), cast[index] ?? cast[(index * 2 + 1) % cast.length])));
  }

  function draw() {
    const seconds = film.runtime * 60;
    const story = seconds * (1 - CREDITS_SHARE);
    const at = inCredits() ? story + Math.min(1, (elapsed - STORY_MS) / CREDITS_MS) * (seconds - story) : share() * story;
    text($("at"), clock(at));
    text($("length"), clock(seconds));
    $("played").style.transform = `scaleX(${(at / seconds).toFixed(4)})`;
    $("bar").setAttribute("aria-valuenow", String(Math.round((at / seconds) * 100)));
    const left = STORY_MS - elapsed;
    const soon = running && (inCredits() || left <= SOON_MS);
    $("soon").hidden = !soon;
    if (soon) text($("soon"), inCredits() ? `Credits, ${Math.max(0, Math.ceil((STORY_MS + CREDITS_MS - elapsed) / 1000))} s` : `Credits in ${Math.ceil(left / 1000)} s`);
    $("roll").hidden = !(running && inCredits());
    if (inCredits()) $("names").style.transform = `translateY(${(100 - ((elapsed - STORY_MS) / CREDITS_MS) * 190).toFixed(2)}%)`;
  }

  function state() {
    $("screen").classList.toggle("playing", running);
    $("screen").classList.toggle("credits", running && inCredits());
    $("play").hidden = running;
    $("ending").hidden = !running || inCredits();
    $("leave").hidden = !running;
    text($("leave"), inCredits() ? "Enough" : "Leave");
  }

  function tick(now) {
    if (!running) return;
    elapsed += Math.min(250, now - last); // a tab that was away does not miss the ending
    last = now;
    const was = told;
    if (!inCredits()) {
      told = Math.max(told, Math.floor(share() * 4));
      if (told > was && told < 4) events.quarter(film, told / 4);
    } else if (told < 4) {
      told = 4;
      names();
      state();
      events.credits(film);
    }
    draw();
    if (elapsed >= STORY_MS + CREDITS_MS) {
      running = false;
      state();
      $("soon").hidden = true;
      events.over(film);
      return;
    }
    requestAnimationFrame(tick);
  }

  /** Puts a film on the screen without playing it. */
  function show(next) {
    film = next;
    elapsed = told = 0;
    $("scene").src = posterOf(film, false);
    text($("eyebrow"), `${film.kind} · ${film.released} · ${minutes(film.runtime)}${film.age ? ` · from ${film.age}` : ""}`);
    text($("playing"), film.title);
    text($("synopsis"), film.synopsis);
    text($("people"), `A film by ${film.maker}, with ${film.starring}`);
    text($("because"), film.reason ?? "");
    draw();
    state();
  }

  function play(next = film) {
    if (!next) return;
    leave();
    show(next);
    running = true;
    last = performance.now();
    state();
    events.started(film);
    requestAnimationFrame(tick);
  }

  function leave() {
    if (!running) return;
    running = false;
    const during = !inCredits();
    state();
    draw();
    if (during) events.left(film, share());
  }

  $("play").addEventListener("click", () => play());
  $("leave").addEventListener("click", leave);
  $("ending").addEventListener("click", () => { elapsed = Math.max(elapsed, STORY_MS - 1500); });
  return { show, play, leave, film: () => film, running: () => running, creditsLeftMs: () => Math.max(0, STORY_MS + CREDITS_MS - elapsed) };
}
