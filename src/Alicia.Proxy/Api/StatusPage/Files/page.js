// The status page: who looks, what is fetched when, and what the buttons do. Figures are asked for every two seconds while the page is looked at; what happens
// to services and instances is told by the proxy's events, and only what they name is fetched again.

import { api } from "./api.js";
import { Follower } from "./follow.js";
import { clock } from "./instance.js";
import { Proxy } from "./proxy.js";
import { Services } from "./services.js";
import { setText } from "./text.js";
import { alertOf, clearAlert, confirm, say } from "./tell.js";

/** Milliseconds between the answers to one round of questions and the next round. */
const ROUND = 2_000;

/** Everything is fetched anew every so many milliseconds, in case an event was of a kind that this page does not know. */
const EVERYTHING = 30_000;

/** An event waits so many milliseconds for others, which often come with it. */
const GATHER = 100;

/** More services than this are not fetched one by one. */
const MANY = 10;

const $ = id => document.getElementById(id);

const proxy = new Proxy();
const actions = { allowed: false, setState, setCircuit };
const services = new Services(actions, refresh);
const follower = new Follower({
  event: happened => gather(happened.service_name),
  missed: () => everything(),
  state: state => setText($("stream"), state),
  // The browser does not say why: perhaps the session has ended.
  refused: () => signedIn && guarded(api.who),
});

let signedIn = false;
let round = 0;
let lastEverything = 0;
let gathering = 0;
const touched = new Set();

/** Runs what asks the proxy; says what went wrong, and asks for a key when that is what is missing. */
async function guarded(ask, source = "poll") {
  try {
    const answer = await ask();
    clearAlert(source);
    return answer;
  } catch (fault) {
    if (fault.status === 401) {
      if (signedIn)
        signOut("Your session has ended.");
      return undefined;
    }

    if (fault.status === undefined && source === "poll")
      proxy.silent();
    if (signedIn || source === "action")
      alertOf(source, fault.status === undefined ? "The proxy does not answer. This page keeps asking." : fault.message);
    return undefined;
  }
}

async function everything() {
  lastEverything = Date.now();
  touched.clear();
  await guarded(() => services.fetchAll());
}

/** Fetches what events have named, together. */
function gather(name) {
  touched.add(name);
  gathering ||= setTimeout(() => {
    gathering = 0;
    const names = [...touched];
    touched.clear();
    if (names.length > MANY)
      everything();
    else
      guarded(() => Promise.all(names.map(n => services.fetch(n))));
  }, GATHER);
}

async function refresh(view) {
  await guarded(() => services.fetchRows(view));
}

async function ask() {
  await guarded(async () => {
    const asked = Date.now();
    const [health, stats] = await Promise.all([api.health(), api.stats()]);
    if (!signedIn)
      return;
    const now = Date.now();
    // The proxy wrote its time somewhere between question and answer.
    clock.ahead = (asked + now) / 2 - Date.parse(stats.timestamp);
    proxy.update(health, stats);
    services.measure(now, stats.services);
    await Promise.all(services.looked().map(view => services.fetchRows(view)));
  });
  if (Date.now() - lastEverything > EVERYTHING)
    await everything();
}

async function rounds() {
  clearTimeout(round);
  await ask();
  clearTimeout(round);
  if (signedIn && !document.hidden)
    round = setTimeout(rounds, ROUND);
}

function resume() {
  follower.start();
  everything();
  rounds();
}

function pause() {
  clearTimeout(round);
  follower.stop();
}

function signIn(session) {
  signedIn = true;
  actions.allowed = session.scopes.includes("admin");
  services.allow(actions.allowed);
  $("sign-in").hidden = true;
  $("overview").hidden = false;
  $("sign-out").hidden = session.name === null;
  setText($("who"), session.name === null ? "" : `${session.name} (${session.scopes.join(", ")})`);
  if (!document.hidden)
    resume();
}

function signOut(why) {
  signedIn = false;
  pause();
  services.clear();
  proxy.clear();
  setText($("who"), "");
  setText($("stream"), "signed out");
  setText($("sign-in-fault"), why);
  $("sign-out").hidden = $("overview").hidden = true;
  $("sign-in").hidden = false;
  $("key").focus();
}

async function setState(view, instance, state) {
  const { instance_id: id } = instance;
  if (state === "draining") {
    const last = view.isLast(instance) ? ` It is the only one in service: requests for ${view.name} will be refused with 503.` : "";
    if (!await confirm(`Drain ${id}?`, `No new request goes to ${id} of ${view.name}; those in flight finish.${last}`, "Drain"))
      return;
  }

  await change(view, () => api.setState(view.name, id, state), state === "draining" ? `${id} of ${view.name} is draining.` : `${id} of ${view.name} is active.`);
}

async function setCircuit(view, instance, state) {
  const { instance_id: id } = instance;
  if (state === "open") {
    const last = view.isLast(instance) ? ` It is the only one in service: requests for ${view.name} will be refused with 503.` : "";
    if (!await confirm(`Open the circuit of ${id}?`, `${id} of ${view.name} gets no request until the circuit is closed by hand.${last}`, "Open circuit"))
      return;
  }

  await change(view, () => api.setCircuit(view.name, id, state), `The circuit of ${id} of ${view.name} is ${state}.`);
}

async function change(view, what, done) {
  clearAlert("action");
  if (await guarded(what, "action") !== undefined)
    say(done);
  if (signedIn)
    await guarded(() => services.fetch(view.name));
}

$("sign-in-form").addEventListener("submit", async submitted => {
  submitted.preventDefault();
  const key = $("key").value;
  setText($("sign-in-fault"), "");
  try {
    const session = await api.signIn(key);
    $("key").value = "";
    signIn(session);
    $("main").focus();
  } catch (fault) {
    setText($("sign-in-fault"), fault.status === undefined ? "The proxy does not answer." : fault.message);
    $("key").focus();
    $("key").select();
  }
});

$("sign-out").addEventListener("click", async () => {
  signOut("");
  await guarded(api.signOut, "action");
});

document.addEventListener("visibilitychange", () => {
  if (!signedIn)
    return;
  if (document.hidden)
    pause();
  else
    resume();
});

setInterval(() => {
  if (!document.hidden && signedIn)
    services.tick(Date.now());
}, 1000);

async function begin() {
  try {
    signIn(await api.who());
  } catch (fault) {
    if (fault.status === 401) {
      signOut("");
    } else {
      proxy.silent();
      alertOf("poll", fault.status === undefined ? "The proxy does not answer. This page keeps asking." : fault.message);
      setTimeout(begin, ROUND);
    }
  }

  if (!signedIn)
    api.health().then(health => proxy.update(health, null), () => proxy.silent());
}

begin();
