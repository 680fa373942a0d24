import { expect, test } from "bun:test";
import { Buffers, Turns } from "./turns.ts";

test("work of one key is done one after the other, failed or not", async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const work = (key: string, name: string) =>
    turns.take(key, async () => {
      seen.push(`${name} begins`);
      await Bun.sleep(2);
      seen.push(`${name} ends`);
      if (name === "1") throw new Error("failed");
    });
  const done = await Promise.allSettled([work("a", "1"), work("a", "2"), work("b", "3")]);
  expect(done.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  expect(seen.indexOf("2 begins")).toBeGreaterThan(seen.indexOf("1 ends"));
  expect(seen.indexOf("3 begins")).toBeLessThan(seen.indexOf("1 ends"));
});

test("no more buffers than there are", async () => {
  const buffers = new Buffers(2);
  let now = 0;
  let most = 0;
  const use = (length: number) =>
    buffers.use(length, async (bytes) => {
      expect(bytes.length).toBe(length);
      most = Math.max(most, (now += 1));
      await Bun.sleep(1);
      now -= 1;
    });
  await Promise.all([5, 3, 9, 1, 0, 7].map(use));
  expect(most).toBe(2);
});
