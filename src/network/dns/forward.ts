/** Asks the name servers of the world on behalf of containers. Bounded in number and in time. */
import { exchangeTcp } from "./exchange-tcp.ts";
import { exchangeUdp } from "./exchange-udp.ts";

export interface ForwardLimits {
  /** Questions under way at once, of all containers of the engine. */
  readonly maxInFlight: number;
  /** Of these, questions of one container. */
  readonly maxPerClient: number;
  readonly attemptTimeoutMs: number;
  readonly maxAttempts: number;
}

export const defaultLimits: ForwardLimits = {
  maxInFlight: 256,
  maxPerClient: 32,
  attemptTimeoutMs: 2500,
  maxAttempts: 3,
};

export interface ForwardRequest {
  readonly message: Uint8Array;
  readonly client: string;
  readonly transport: "udp" | "tcp";
  /** Addresses, each with `#port` when it is not 53. */
  readonly servers: readonly string[];
}

export class Forwarder {
  readonly #limits: ForwardLimits;
  readonly #perClient = new Map<string, number>();
  #inFlight = 0;

  constructor(limits: ForwardLimits = defaultLimits) {
    this.#limits = limits;
  }

  /** The first usable answer, with the id of the query; undefined when no server gave one or too many questions are open. */
  async ask(request: ForwardRequest): Promise<Uint8Array | undefined> {
    const open = this.#perClient.get(request.client) ?? 0;
    if (this.#inFlight >= this.#limits.maxInFlight || open >= this.#limits.maxPerClient) return undefined;
    this.#inFlight++;
    this.#perClient.set(request.client, open + 1);
    try {
      return await this.#tryServers(request);
    } finally {
      this.#inFlight--;
      const left = (this.#perClient.get(request.client) ?? 1) - 1;
      if (left === 0) this.#perClient.delete(request.client);
      else this.#perClient.set(request.client, left);
    }
  }

  async #tryServers(request: ForwardRequest): Promise<Uint8Array | undefined> {
    let failure: Uint8Array | undefined;
    for (const server of request.servers.slice(0, this.#limits.maxAttempts)) {
      const answer = await this.#attempt(server, request);
      if (answer === undefined) continue;
      // SERVFAIL and REFUSED say that this server cannot; another may.
      const code = (answer[3] ?? 0) & 15;
      if (code !== 2 && code !== 5) return answer;
      failure = answer;
    }
    return failure;
  }

  async #attempt(server: string, request: ForwardRequest): Promise<Uint8Array | undefined> {
    const [address = "", port = "53"] = server.split("#");
    const own = Uint8Array.from(request.message);
    // An id of our own: a container cannot prepare forged answers for an id that it chose.
    crypto.getRandomValues(own.subarray(0, 2));
    const accepts = (answer: Uint8Array): boolean => isAnswerTo(own, answer);
    const exchange = request.transport === "udp" ? exchangeUdp : exchangeTcp;
    const answer = await exchange({
      address,
      port: Number(port),
      message: own,
      accepts,
      timeoutMs: this.#limits.attemptTimeoutMs,
    });
    if (answer === undefined) return undefined;
    const restored = Uint8Array.from(answer);
    restored.set(request.message.subarray(0, 2), 0);
    return restored;
  }
}

function isAnswerTo(query: Uint8Array, answer: Uint8Array): boolean {
  if (
    answer.length < 12 ||
    answer[0] !== query[0] ||
    answer[1] !== query[1] ||
    ((answer[2] ?? 0) & 0x80) === 0
  )
    return false;
  const code = (answer[3] ?? 0) & 15;
  // Some servers leave the question out of a refusal; without one nothing can be forged but a failure.
  if ((answer[4] ?? 0) === 0 && (answer[5] ?? 0) === 0) return code !== 0 && code !== 3;
  const end = questionEnd(query);
  return end > 0 && answer.length >= end && lowerCase(query, end) === lowerCase(answer, end);
}

/** Names compare without regard to case; types and classes of our questions hold no letters worth a difference. */
function lowerCase(message: Uint8Array, end: number): string {
  return Buffer.from(message.subarray(12, end)).toString("latin1").toLowerCase();
}

/** Where the first question ends; 0 when it leaves the message. */
function questionEnd(message: Uint8Array): number {
  let at = 12;
  for (let label = message[at] ?? 0; label !== 0; label = message[at] ?? 0) {
    // A compression pointer has no place in a first name.
    if (label > 63 || at > message.length) return 0;
    at += label + 1;
  }
  const end = at + 5;
  return end <= message.length ? end : 0;
}
