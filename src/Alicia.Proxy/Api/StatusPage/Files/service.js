// One service on the page: a line with its figures and charts, and, when it is unfolded, a row for each instance.

import { Chart } from "./chart.js";
import { InstanceRow, COLUMNS, inService } from "./instance.js";
import { count, duration, element, plural, rate, setBadge, setText, words } from "./text.js";

let ids = 0;

export class ServiceView {
  #rows = new Map();
  #actions;
  #toggle;
  #state;
  #facts;
  #body;
  #rps = new Chart("requests/s", rate);
  #p99 = new Chart("p99", duration);
  #document = null;
  #counters = null;

  /** @param actions What the buttons of a row do, and whether there are any. */
  constructor(name, actions, onToggle) {
    this.name = name;
    this.#actions = actions;
    const id = `service-${++ids}`;
    this.#toggle = element("button", { type: "button", class: "toggle", "aria-expanded": "false", "aria-controls": id }, name);
    this.#toggle.addEventListener("click", () => {
      this.expanded = !this.expanded;
      onToggle(this);
    });
    this.#state = element("p", { class: "badge idle" });
    this.#facts = element("p", { class: "facts muted" });
    this.#body = element("div", { role: "rowgroup" });
    this.table = element("div", { class: "table", role: "table", id, "aria-label": `Instances of ${name}`, hidden: true },
      element("div", { class: "row head", role: "row" }, ...COLUMNS.map(([title]) => element("div", { role: "columnheader" }, title))),
      this.#body);
    this.node = element("article", { class: "service", "data-service": name },
      element("div", { class: "line" },
        element("div", { class: "what" }, element("h2", {}, this.#toggle), this.#state, this.#facts),
        element("div", { class: "charts" }, this.#rps.node, this.#p99.node)),
      this.table);
  }

  get expanded() {
    return !this.table.hidden;
  }

  set expanded(open) {
    this.table.hidden = !open;
    this.#toggle.setAttribute("aria-expanded", String(open));
    if (open)
      this.#fill();
  }

  get document() {
    return this.#document;
  }

  /** True when an instance is out, or nobody is in. */
  get troubled() {
    const instances = this.#document?.instances ?? [];
    return instances.some(i => !inService(i)) || instances.length === 0;
  }

  matches(text) {
    if (text === "" || this.name.toLowerCase().includes(text))
      return true;
    return (this.#document?.instances ?? []).some(i =>
      [i.instance_id, `${i.host}:${i.port}`, ...Object.entries(i.metadata).map(pair => pair.join("="))].some(t => t.toLowerCase().includes(text)));
  }

  /** @param doc The service's document. */
  update(doc) {
    this.#document = doc;
    const usable = doc.instances.filter(inService).length;
    const total = doc.instances.length;
    if (total === 0)
      setBadge(this.#state, "idle", "no instances");
    else
      setBadge(this.#state, usable === total ? "good" : usable === 0 ? "bad" : "warn", `${usable} of ${total} in service`);
    this.#writeFacts();
    if (this.expanded)
      this.#fill();
  }

  /** @param counters The service's figures of /stats. */
  measure(now, counters) {
    this.#counters = counters;
    this.#rps.add(now, counters.requests_per_second);
    this.#p99.add(now, counters.p99 ?? null);
    this.#writeFacts();
  }

  draw(now) {
    this.#rps.draw(now);
    this.#p99.draw(now);
  }

  /** @param shares Rows of /stats/{service}, in the order of the instances. */
  share(shares) {
    const byId = Map.groupBy(shares, s => s.instance_id);
    for (const row of this.#rows.values())
      row.share(byId.get(row.id)?.shift());
  }

  /** Counts down what counts down. */
  tick(now) {
    if (this.expanded)
      for (const row of this.#rows.values())
        row.tick(now);
  }

  allow(may) {
    for (const row of this.#rows.values())
      row.allow(may);
  }

  /** True when taking this instance out leaves nobody. */
  isLast(instance) {
    return inService(instance) && this.#document.instances.filter(inService).length === 1;
  }

  #writeFacts() {
    const parts = [words(this.#document?.algorithm)];
    if (this.#counters !== null) {
      parts.push(`${count(this.#counters.active_connections)} in flight`, `${count(this.#counters.failed_requests)} failed`);
      if (this.#counters.rejected_requests > 0)
        parts.push(`${count(this.#counters.rejected_requests)} rejected`);
    }

    setText(this.#facts, parts.filter(p => p !== "").join(" · "));
  }

  #fill() {
    const instances = this.#document?.instances ?? [];
    const present = new Set();
    let before = this.#body.firstElementChild;
    for (const instance of instances) {
      // The same id may be there twice: leaving at its old address, and new at another.
      const key = `${instance.instance_id} ${instance.registered_at}`;
      present.add(key);
      let row = this.#rows.get(key);
      if (row === undefined) {
        row = new InstanceRow(this, instance, this.#actions);
        this.#rows.set(key, row);
      }

      row.update(instance);
      // A row that stands where it should is not touched: moving it would take the focus off its buttons.
      if (row.node === before)
        before = before.nextElementSibling;
      else
        this.#body.insertBefore(row.node, before);
    }

    for (const [key, row] of this.#rows) {
      if (!present.has(key)) {
        row.node.remove();
        this.#rows.delete(key);
      }
    }

    this.#toggle.title = plural(instances.length, "instance");
  }
}
