// Following the proxy's events while somebody looks: a hidden tab holds no connection. Browsers open six to a host, and a stream keeps one.

const TYPES = [
  "service_added", "service_changed", "service_removed", "instance_registered", "instance_changed", "instance_state_changed", "instance_removed",
  "health_changed", "circuit_changed",
];

/** Pause before a stream that was refused is asked for again, in milliseconds. */
const RETRY = 5_000;

export class Follower {
  #source = null;
  #retry = 0;
  #opened = false;
  #on;

  /** @param on What to do on { event, missed, state }: an event's document; events were missed; "live" or "reconnecting". */
  constructor(on) {
    this.#on = on;
  }

  start() {
    if (this.#source !== null)
      return;
    clearTimeout(this.#retry);
    this.#source = new EventSource("/events");
    this.#source.addEventListener("open", () => {
      this.#on.state("live");
      // What happened while nobody listened is not told again by a new stream.
      if (this.#opened)
        this.#on.missed();
      this.#opened = true;
    });
    this.#source.addEventListener("error", () => {
      this.#on.state("reconnecting");
      if (this.#source?.readyState !== EventSource.CLOSED)
        return;
      this.stop();
      this.#on.refused();
      this.#retry = setTimeout(() => this.start(), RETRY);
    });
    this.#source.addEventListener("reset", () => this.#on.missed());
    for (const type of TYPES)
      this.#source.addEventListener(type, message => this.#on.event(JSON.parse(message.data)));
  }

  stop() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }
}
