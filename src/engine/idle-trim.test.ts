import { expect, test } from "bun:test";
import { IdleTrim } from "./idle-trim.ts";

test("memory is given back once after several touches, and again after the next", async () => {
  let trims = 0;
  const trimmed: (() => void)[] = [];
  const next = (): Promise<void> => new Promise((resolve) => trimmed.push(resolve));
  const idle = new IdleTrim({ trimText: () => (trimmed.shift()?.(), ++trims) }, 10);
  let done = next();
  for (let i = 0; i < 100; i++) idle.touch();
  await done;
  await Bun.sleep(30);
  expect(trims).toBe(1);
  done = next();
  idle.touch();
  await done;
  expect(trims).toBe(2);
});

test("closed while it waits, it does nothing any more", async () => {
  let trims = 0;
  const idle = new IdleTrim({ trimText: () => ++trims }, 10);
  idle.touch();
  idle.close();
  await Bun.sleep(30);
  expect(trims).toBe(0);
});
