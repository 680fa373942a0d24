/** Deliveries that wait, in SQL: a restart loses none, and several instances share the work. */
import { randomUUID } from "node:crypto";
import type { Sql, SqlRow } from "../sql.ts";

/** More waiting deliveries of one webhook than this, or a few more: the newest are dropped, and counted. */
export const maxWaiting = 10_000;
const maxAttempts = 12;
const firstRetryMs = 1000;
const longestRetryMs = 15 * 60_000;
/** Who has taken a delivery and dies gives it back after this long. */
const leaseMs = 60_000;
/** Of what is over, so much is kept for `webhook log`. */
const kept = 200;

export interface Delivery {
  readonly id: string;
  readonly webhook: string;
  readonly body: string;
  readonly attempts: number;
  readonly nextMs: number;
  readonly state: "waiting" | "done" | "dead";
  readonly result: string;
  readonly createdMs: number;
}

export class DeliveryQueue {
  readonly #sql: Sql;
  readonly #now: () => number;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#now = now;
  }

  /** @returns false: the queue of that webhook is full */
  async add(webhook: string, body: string): Promise<boolean> {
    if (await this.isFull(webhook)) return false;
    await this.insert(this.#sql, webhook, body);
    return true;
  }

  async isFull(webhook: string): Promise<boolean> {
    const [row] = await this.#sql.query(
      "SELECT count(*) AS n FROM webhook_delivery WHERE webhook = $1 AND state = 'waiting'",
      webhook,
    );
    return Number(row?.["n"] ?? 0) >= maxWaiting;
  }

  /** As part of a transaction, whatever waits: counting there would make pushes of one moment collide. */
  async insert(sql: Sql, webhook: string, body: string): Promise<void> {
    await sql.query(
      "INSERT INTO webhook_delivery VALUES ($1, $2, $3, 0, $4, 'waiting', '', $5)",
      randomUUID(),
      webhook,
      body,
      this.#now(),
      this.#now(),
    );
  }

  /** All that waits is due now: what a process has taken that was killed, and what it would have tried later. */
  async hurry(): Promise<void> {
    await this.#sql.query(
      "UPDATE webhook_delivery SET next_ms = $1 WHERE state = 'waiting' AND next_ms > $2",
      this.#now(),
      this.#now(),
    );
  }

  /** Takes the next due delivery of a webhook for a while; undefined: none is due. */
  async take(webhook: string): Promise<Delivery | undefined> {
    const rows = await this.#sql.transaction((tx) =>
      tx.query(
        `UPDATE webhook_delivery SET next_ms = $1, attempts = attempts + 1 WHERE id =
          (SELECT id FROM webhook_delivery WHERE webhook = $2 AND state = 'waiting' AND next_ms <= $3
           ORDER BY next_ms, created_ms LIMIT 1) AND next_ms <= $4 RETURNING *`,
        this.#now() + leaseMs,
        webhook,
        this.#now(),
        this.#now(),
      ),
    );
    return rows[0] === undefined ? undefined : deliveryOf(rows[0]);
  }

  /** When the next delivery of a webhook is due; undefined: none waits. */
  async nextMs(webhook: string): Promise<number | undefined> {
    const [row] = await this.#sql.query(
      "SELECT min(next_ms) AS next FROM webhook_delivery WHERE webhook = $1 AND state = 'waiting'",
      webhook,
    );
    const next = row?.["next"];
    return next === null || next === undefined ? undefined : Number(next);
  }

  async done(delivery: Delivery, result: string): Promise<void> {
    await this.#end(delivery, "done", result);
  }

  /** Tries again later, longer each time; after many times it is dead and only kept to be looked at. */
  async failed(delivery: Delivery, result: string): Promise<"again" | "dead"> {
    if (delivery.attempts >= maxAttempts) {
      await this.#end(delivery, "dead", result);
      return "dead";
    }
    const waitMs = retryMs(delivery.attempts);
    await this.#sql.query(
      "UPDATE webhook_delivery SET next_ms = $1, result = $2 WHERE id = $3",
      this.#now() + waitMs,
      result,
      delivery.id,
    );
    return "again";
  }

  async #end(delivery: Delivery, state: "done" | "dead", result: string): Promise<void> {
    await this.#sql.query(
      "UPDATE webhook_delivery SET state = $1, result = $2, next_ms = $3 WHERE id = $4",
      state,
      result,
      this.#now(),
      delivery.id,
    );
    await this.#sql.query(
      `DELETE FROM webhook_delivery WHERE webhook = $1 AND state = $2 AND id NOT IN
        (SELECT id FROM webhook_delivery WHERE webhook = $3 AND state = $4 ORDER BY next_ms DESC LIMIT ${kept})`,
      delivery.webhook,
      state,
      delivery.webhook,
      state,
    );
  }

  /** Newest first. */
  async log(webhook: string, limit: number): Promise<readonly Delivery[]> {
    const rows = await this.#sql.query(
      "SELECT * FROM webhook_delivery WHERE webhook = $1 ORDER BY created_ms DESC LIMIT $2",
      webhook,
      limit,
    );
    return rows.map(deliveryOf);
  }

  /** Dead deliveries wait again. @returns how many */
  async revive(webhook: string): Promise<number> {
    const rows = await this.#sql.query(
      "UPDATE webhook_delivery SET state = 'waiting', attempts = 0, next_ms = $1 WHERE webhook = $2 AND state = 'dead' RETURNING id",
      this.#now(),
      webhook,
    );
    return rows.length;
  }

  /** How many wait and how many are dead, over all webhooks. */
  async counts(): Promise<Readonly<Record<"waiting" | "dead", number>>> {
    const rows = await this.#sql.query("SELECT state, count(*) AS n FROM webhook_delivery GROUP BY state");
    const of = (state: string): number => Number(rows.find((row) => row["state"] === state)?.["n"] ?? 0);
    return { waiting: of("waiting"), dead: of("dead") };
  }
}

/** 1, 2, 4 … seconds, up to 15 minutes. */
export function retryMs(attempts: number): number {
  return Math.min(firstRetryMs * 2 ** Math.max(0, attempts - 1), longestRetryMs);
}

function deliveryOf(row: SqlRow): Delivery {
  const state = String(row["state"]);
  return {
    id: String(row["id"]),
    webhook: String(row["webhook"]),
    body: String(row["body"]),
    attempts: Number(row["attempts"]),
    nextMs: Number(row["next_ms"]),
    state: state === "done" || state === "dead" ? state : "waiting",
    result: String(row["result"]),
    createdMs: Number(row["created_ms"]),
  };
}
