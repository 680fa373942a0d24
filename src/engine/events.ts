/** What happens, told to whoever listens: the source of GET /events. The last 256 are kept for `since`. */

export interface EngineEvent {
  readonly type: "container" | "image" | "network" | "volume" | "daemon";
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly timeNs: bigint;
}

const kept = 256;

export class EventBus {
  readonly #recent: EngineEvent[] = [];
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  emit(
    type: EngineEvent["type"],
    action: string,
    id: string,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    const event = { type, action, id, attributes, timeNs: BigInt(Date.now()) * 1_000_000n };
    this.#recent.push(event);
    if (this.#recent.length > kept) this.#recent.shift();
    for (const listener of this.#listeners) listener(event);
  }

  recent(): readonly EngineEvent[] {
    return this.#recent;
  }

  listenerCount(): number {
    return this.#listeners.size;
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
