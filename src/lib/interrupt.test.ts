import { expect, test } from "bun:test";
import { Interrupt } from "./interrupt.ts";

const never = new Promise<never>(() => undefined);

test("a wait gives what its promise gives, or fails as it does", async () => {
  const interrupt = new Interrupt();
  expect(await interrupt.wait(Promise.resolve(7))).toBe(7);
  await expect(interrupt.wait(Promise.reject(new Error("own")))).rejects.toThrow("own");
});

test("raise ends the wait that is on, and all that come", async () => {
  const interrupt = new Interrupt();
  const waiting = interrupt.wait(never);
  interrupt.raise(new Error("first"));
  interrupt.raise(new Error("second"));
  await expect(waiting).rejects.toThrow("first");
  await expect(interrupt.wait(Promise.resolve(1))).rejects.toThrow("first");
});

test("a hundred thousand waits keep nothing of what went by", async () => {
  const interrupt = new Interrupt();
  let kept = 0;
  const registry = new FinalizationRegistry(() => kept--);
  for (let i = 0; i < 100_000; i++) {
    const piece = { i };
    if (i % 1000 === 0) {
      kept++;
      registry.register(piece, i);
    }
    await interrupt.wait(Promise.resolve(piece));
  }
  for (let i = 0; i < 20; i++) {
    Bun.gc(true);
    await Bun.sleep(1);
  }
  expect(kept).toBeLessThanOrEqual(10);
});
