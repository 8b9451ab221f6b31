// One instance on the page: where it stands, why it is out, and the buttons that take it out and bring it back.

import { count, duration, element, percent, setBadge, setText, span, words } from "./text.js";

/** Titles of the columns, and the names of their cells in the style sheet. */
export const COLUMNS = [
  ["Instance", "id"], ["State", "state"], ["Health", "health"], ["Circuit", "circuit"], ["In flight", "flight"], ["Share got / due", "share"],
  ["Response", "response"], ["Lease", "lease"], ["Weight", "weight"], ["Actions", "actions"],
];

/** True for one that gets requests. */
export const inService = i => i.state === "active" && i.health_status !== "unhealthy" && i.circuit.state === "closed";

const STATES = { active: "good", pending: "warn", draining: "warn" };
const HEALTH = { healthy: "good", unhealthy: "bad" };
const CIRCUITS = { closed: "good", open: "bad", half_open: "warn" };

/** Clocks differ: this one less the proxy's, in milliseconds. */
export const clock = { ahead: 0 };

export class InstanceRow {
  #cells = {};
  #service;
  #instance;
  #address = element("span", { class: "muted small" });
  #metadata = element("span", { class: "muted small" });
  #state = element("span", { class: "badge idle" });
  #health = element("span", { class: "badge idle" });
  #circuit = element("span", { class: "badge idle" });
  #why = element("span", { class: "small" });
  #drain = element("button", { type: "button" });
  #break = element("button", { type: "button" });

  constructor(service, instance, actions) {
    this.id = instance.instance_id;
    this.#service = service;
    this.#instance = instance;
    for (const [title, name] of COLUMNS)
      this.#cells[name] = element("div", { role: "cell", class: name, "data-title": title });
    this.#cells.id.append(element("strong", {}, this.id), this.#address, this.#metadata);
    this.#cells.state.append(this.#state);
    this.#cells.health.append(this.#health);
    this.#cells.circuit.append(this.#circuit, this.#why);
    this.#cells.actions.append(this.#drain, this.#break);
    setText(this.#cells.share, "–");
    this.node = element("div", { class: "row", role: "row", "data-instance": this.id }, ...Object.values(this.#cells));
    this.#drain.addEventListener("click", () => actions.setState(this.#service, this.#instance, this.#instance.state === "draining" ? "active" : "draining"));
    this.#break.addEventListener("click", () => actions.setCircuit(this.#service, this.#instance, this.#instance.circuit.state === "closed" ? "open" : "closed"));
    this.allow(actions.allowed);
  }

  update(instance) {
    this.#instance = instance;
    const { circuit } = instance;
    setText(this.#address, `${instance.host.includes(":") ? `[${instance.host}]` : instance.host}:${instance.port}${instance.protocol === "http1" ? "" : ` ${instance.protocol}`}`);
    setText(this.#metadata, Object.entries(instance.metadata).map(pair => pair.join("=")).join(", "));
    setBadge(this.#state, STATES[instance.state] ?? "idle", instance.state);
    setBadge(this.#health, HEALTH[instance.health_status] ?? "idle", instance.health_status);
    setBadge(this.#circuit, CIRCUITS[circuit.state] ?? "idle", words(circuit.state));
    setText(this.#cells.flight, `${count(instance.active_connections)} / ${count(instance.max_connections)}`);
    setText(this.#cells.response, duration(instance.response_time));
    const backup = instance.priority === 0 ? "" : `, backup ${instance.priority}`;
    const warming = instance.warming === null ? "" : `, warming up: ${percent(instance.warming)}`;
    setText(this.#cells.weight, `${instance.weight}${backup}${warming}`);
    const draining = instance.state === "draining";
    this.#button(this.#drain, draining ? "Activate" : "Drain");
    this.#button(this.#break, circuit.state === "closed" ? "Open circuit" : "Close circuit");
    this.node.classList.toggle("out", !inService(instance));
    this.tick(Date.now());
  }

  /** @param share Row of /stats/{service}; undefined for one that came in between. */
  share(share) {
    if (share !== undefined)
      setText(this.#cells.share, `${percent(share.received_share)} / ${percent(share.expected_share)}`);
  }

  tick(now) {
    const left = time => (Date.parse(time) - (now - clock.ahead)) / 1000;
    const { circuit, lease } = this.#instance;
    let why = words(circuit.reason);
    if (circuit.retry_at !== null && circuit.state === "open")
      why += left(circuit.retry_at) > 0 ? `, retry in ${span(left(circuit.retry_at))}` : ", retry due";
    else if (circuit.state === "closed" && circuit.consecutive_failures > 0)
      why = `${circuit.consecutive_failures} failed in a row`;
    setText(this.#why, why);
    setText(this.#cells.lease, lease === null ? "none" : left(lease.expires_at) > 0 ? `${span(left(lease.expires_at))} left` : "run out");
  }

  allow(may) {
    this.#drain.hidden = this.#break.hidden = !may;
  }

  #button(button, text) {
    setText(button, text);
    const label = `${text} ${this.id} of ${this.#service.name}`;
    if (button.getAttribute("aria-label") !== label)
      button.setAttribute("aria-label", label);
  }
}
