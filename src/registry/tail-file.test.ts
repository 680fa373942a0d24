import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { TailFile } from "./tail-file.ts";

const directory = mkdtempSync("/tmp/gantry-tail-");
afterAll(() => rmSync(directory, { recursive: true }));
const textOf = (stream: ReadableStream<Uint8Array>): Promise<string> => new Response(stream).text();

test("readers get what is written, early and late, whole and in ranges", async () => {
  const tail = await TailFile.create(directory);
  const early = textOf(tail.read());
  const range = textOf(tail.read(2, 6));
  for (const piece of ["abc", "def", "ghi"]) {
    await tail.write(Buffer.from(piece));
    await Bun.sleep(1);
  }
  expect(await range).toBe("cdefg");
  const late = textOf(tail.read(4));
  await tail.finish();
  expect(await Promise.all([early, late])).toEqual(["abcdefghi", "efghi"]);
  expect(readdirSync(directory)).toEqual([]);
});

test("nobody has the last byte of what is wrong", async () => {
  const tail = await TailFile.create(directory);
  let got = "";
  const read = (async () => {
    for await (const piece of tail.read()) got += Buffer.from(piece).toString();
  })();
  await tail.write(Buffer.from("abc"));
  await Bun.sleep(5);
  await tail.finish(new Error("wrong"));
  await expect(read).rejects.toThrow("wrong");
  expect(got).toBe("ab");
});
