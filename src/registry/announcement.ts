/** The events of one change: kept in its transaction, told to the listeners once it is on disk. */
import type { Exchange } from "./exchange.ts";
import type { Registry } from "./registry.ts";
import type { Sql } from "./sql.ts";
import type { Journal, RegistryEvent } from "./types.ts";

type Keep = Awaited<ReturnType<Journal["open"]>>;

export class Announcement {
  readonly #registry: Registry;
  readonly #exchange: Exchange;
  readonly #action: RegistryEvent["action"];
  readonly #keep: Keep;
  #events: readonly RegistryEvent[] = [];

  private constructor(registry: Registry, exchange: Exchange, action: RegistryEvent["action"], keep: Keep) {
    this.#registry = registry;
    this.#exchange = exchange;
    this.#action = action;
    this.#keep = keep;
  }

  /** Before the transaction: within one, nothing else may be asked of the database. */
  static async open(
    registry: Registry,
    exchange: Exchange,
    action: RegistryEvent["action"],
    repository: string,
  ): Promise<Announcement> {
    return new Announcement(registry, exchange, action, await registry.journal?.open(action, repository));
  }

  /** Inside the transaction. What an earlier try has kept was rolled back with it. */
  async keep(tx: Sql, targets: readonly RegistryEvent["target"][]): Promise<void> {
    const { now } = this.#registry;
    this.#events = targets.map((target) => this.#exchange.event(this.#action, target, now()));
    if (this.#keep !== undefined) for (const event of this.#events) await this.#keep(tx, event);
  }

  /** After the transaction. */
  tell(): void {
    for (const event of this.#events) for (const listener of this.#registry.listeners) listener(event);
  }
}
