// All services on the page: which there are, which are shown, and which are asked for their rows.

import { api } from "./api.js";
import { ServiceView } from "./service.js";
import { plural, setText } from "./text.js";

/** With more instances than this, services begin folded. */
const FEW = 40;

/** Of services that begin folded, so many with trouble are unfolded all the same. */
const TROUBLED = 5;

const $ = id => document.getElementById(id);

export class Services {
  #views = new Map();
  #actions;
  #refresh;
  #asks = 0;
  /** What was asked for up to here was asked by somebody who has signed out since. */
  #forgotten = 0;
  #fetchedAll = false;
  #onScreen = new Set();
  #watch = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      const view = this.#views.get(target.dataset.service);
      if (view !== undefined && isIntersecting)
        this.#onScreen.add(view);
      else
        this.#onScreen.delete(view);
    }
  }, { rootMargin: "200px" });

  /** @param refresh Fetches the rows of a service that was unfolded. */
  constructor(actions, refresh) {
    this.#actions = actions;
    this.#refresh = refresh;
    $("filter").addEventListener("input", () => this.#show());
    $("trouble").addEventListener("change", () => this.#show());
    $("filter-form").addEventListener("submit", submitted => submitted.preventDefault());
    $("expand").addEventListener("click", () => this.#fold(true));
    $("collapse").addEventListener("click", () => this.#fold(false));
  }

  /** Unfolded services on the screen. */
  looked() {
    return [...this.#onScreen].filter(view => view.expanded && !view.node.hidden);
  }

  async fetchAll() {
    const ask = ++this.#asks;
    const all = await api.services();
    for (const [name, doc] of Object.entries(all))
      this.#take(ask, name, doc);
    for (const view of this.#views.values())
      if (!Object.hasOwn(all, view.name) && view.asked < ask)
        this.#remove(view);
    if (!this.#fetchedAll && ask > this.#forgotten) {
      this.#fetchedAll = true;
      this.#unfold();
    }

    this.#show();
  }

  async fetch(name) {
    const ask = ++this.#asks;
    try {
      this.#take(ask, name, await api.service(name));
    } catch (fault) {
      if (fault.status !== 404)
        throw fault;
      if (this.#views.has(name))
        this.#remove(this.#views.get(name));
    }

    this.#show();
  }

  /** Document and shares of an unfolded service. */
  async fetchRows(view) {
    const ask = ++this.#asks;
    try {
      const [doc, shares] = await Promise.all([api.service(view.name), api.shares(view.name)]);
      this.#take(ask, view.name, doc);
      view.share(shares);
    } catch (fault) {
      // Just removed; the event says so too.
      if (fault.status !== 404)
        throw fault;
    }

    this.#show();
  }

  /** @param counters Figures by service, of /stats. */
  measure(now, counters) {
    for (const [name, figures] of Object.entries(counters))
      this.#views.get(name)?.measure(now, figures);
    for (const view of this.#onScreen)
      view.draw(now);
  }

  tick(now) {
    for (const view of this.#onScreen)
      view.tick(now);
  }

  allow(may) {
    for (const view of this.#views.values())
      view.allow(may);
  }

  clear() {
    for (const view of [...this.#views.values()])
      this.#remove(view);
    this.#fetchedAll = false;
    this.#forgotten = this.#asks;
  }

  /** Takes a document, unless one that was asked for later is already there. */
  #take(ask, name, doc) {
    if (ask <= this.#forgotten)
      return;
    let view = this.#views.get(name);
    if (view === undefined) {
      view = new ServiceView(name, this.#actions, toggled => toggled.expanded && this.#refresh(toggled));
      view.asked = 0;
      this.#views.set(name, view);
      const next = [...$("services").children].find(node => node.dataset.service > name) ?? null;
      $("services").insertBefore(view.node, next);
      this.#watch.observe(view.node);
      if (this.#fetchedAll)
        view.expanded = this.#instances() <= FEW;
    }

    if (ask < view.asked)
      return;
    view.asked = ask;
    view.update(doc);
  }

  #remove(view) {
    this.#watch.unobserve(view.node);
    this.#onScreen.delete(view);
    this.#views.delete(view.name);
    view.node.remove();
  }

  #instances() {
    return [...this.#views.values()].reduce((sum, view) => sum + (view.document?.instances.length ?? 0), 0);
  }

  #unfold() {
    const few = this.#instances() <= FEW;
    let left = few ? Infinity : TROUBLED;
    for (const view of this.#views.values()) {
      if ((few || view.troubled) && left-- > 0) {
        view.expanded = true;
        this.#refresh(view);
      }
    }
  }

  #fold(open) {
    for (const view of this.#views.values())
      if (!view.node.hidden)
        view.expanded = open;
  }

  #show() {
    const text = $("filter").value.trim().toLowerCase();
    const troubled = $("trouble").checked;
    let shown = 0;
    for (const view of this.#views.values()) {
      const show = view.matches(text) && (!troubled || view.troubled);
      view.node.hidden = !show;
      shown += show ? 1 : 0;
    }

    const total = this.#views.size;
    setText($("shown"), shown === total ? plural(total, "service") : `${shown} of ${plural(total, "service")}`);
    setText($("empty"), total === 0 ? "No service is registered." : "No service is like that.");
    $("empty").hidden = shown > 0 || !this.#fetchedAll;
  }
}
