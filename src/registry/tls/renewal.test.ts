import { expect, test } from "bun:test";
import { createLogger } from "../../lib/index.ts";
import type { Certificate } from "./certificates.ts";
import { Renewal } from "./renewal.ts";

const day = 86_400_000;
const start = Date.parse("2026-11-25T00:00:00Z");

/** A world whose time goes on when it is told to. */
class World {
  nowMs = start;
  readonly orders: number[] = [];
  readonly served: Certificate[] = [];
  readonly told: string[] = [];
  naps = 0;
  isDown = false;
  #due: { readonly atMs: number; readonly work: () => void } | undefined;
  readonly renewal = new Renewal({
    now: () => this.nowMs,
    wake: (work, ms) => {
      this.naps += 1;
      const mine = { atMs: this.nowMs + ms, work };
      this.#due = mine;
      return () => {
        if (this.#due === mine) this.#due = undefined;
      };
    },
    order: async () => {
      this.orders.push(this.nowMs - start);
      if (this.isDown) throw new Error("connection refused");
      return this.certificate(90);
    },
    onCertificate: (certificate) => this.served.push(certificate),
    logger: createLogger("error", (line) => this.told.push(line)),
  });

  certificate(days: number): Certificate {
    const fromMs = this.nowMs;
    return { cert: "", key: "", fromMs, untilMs: fromMs + days * day, id: String(fromMs) };
  }

  /** Lets time pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (let due = this.#due; due !== undefined && due.atMs <= untilMs; due = this.#due) {
      this.#due = undefined;
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.work();
      await Bun.sleep(0);
    }
    this.nowMs = untilMs;
  }

  get isAwaited(): boolean {
    return this.#due !== undefined;
  }
}

test("renewed when two thirds of its life are over, again and again", async () => {
  const world = new World();
  world.renewal.keep(world.certificate(90));
  await world.pass(59.99 * day);
  expect(world.orders).toEqual([]);
  await world.pass(0.02 * day);
  expect(world.orders).toEqual([60 * day]);
  await world.pass(60 * day);
  expect(world.orders).toEqual([60 * day, 120 * day]);
  expect(world.served).toHaveLength(2);
  // A machine that sleeps is noticed within half a day, without many timers.
  expect(world.naps).toBeWithin(200, 260);
});

test("what fails is tried again after 30 s, a minute, two … six hours, and the certificate goes on being served", async () => {
  const world = new World();
  world.isDown = true;
  world.renewal.keep(world.certificate(6));
  await world.pass(4 * day + 3_600_000);
  const gaps = world.orders.slice(1).map((atMs, i) => (atMs - (world.orders[i] ?? 0)) / 1000);
  expect(gaps).toEqual([30, 60, 120, 240, 480, 960]);
  await world.pass(3 * day);
  const last = world.orders.slice(-3);
  expect((last[1] ?? 0) - (last[0] ?? 0)).toBe(6 * 3_600_000);
  expect(world.served).toEqual([]);
  expect(JSON.parse(world.told[0] ?? "")).toMatchObject({
    event: "acme.failed",
    message: "connection refused",
    retryInMs: 30_000,
    until: "2026-12-01T00:00:00.000Z",
  });
  world.isDown = false;
  await world.pass(6 * 3_600_000);
  expect(world.served).toHaveLength(1);
  // Patience begins anew.
  world.isDown = true;
  world.orders.length = 0;
  await world.pass(60 * day + 60_000);
  expect((world.orders[1] ?? 0) - (world.orders[0] ?? 0)).toBe(30_000);
});

test("one that is over two thirds at the start is renewed at once; after the end nothing is", async () => {
  const world = new World();
  const old = { ...world.certificate(90), fromMs: start - 70 * day, untilMs: start + 20 * day };
  world.renewal.keep(old);
  await world.pass(0);
  expect(world.orders).toEqual([0]);
  world.renewal.close();
  expect(world.isAwaited).toBe(false);
  world.renewal.keep(old);
  expect(world.isAwaited).toBe(false);
});
