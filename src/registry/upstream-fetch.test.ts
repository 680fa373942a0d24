import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { sha256 } from "../lib/index.ts";
import { DiskBlobs } from "./disk-blobs.ts";
import { BlobFetch } from "./upstream-fetch.ts";

const directory = mkdtempSync("/tmp/gantry-upstream-fetch-");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const nothing = async (): Promise<void> => undefined;

test("a source that stalls is aborted, and no error is left unhandled", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  let signal: AbortSignal | undefined;
  const events: string[] = [];
  const fetch = await BlobFetch.start(
    { digest: sha256(Buffer.from("ab")), mediaType: "x", size: 2 },
    {
      blobs: await DiskBlobs.open(directory),
      directory,
      stallMs: 20,
      open: async (given) => {
        signal = given;
        return (async function* () {
          yield Buffer.from("a");
          await new Promise((_, reject) => given.addEventListener("abort", () => reject(given.reason)));
        })();
      },
      begun: nothing,
      ended: async () => {
        await Bun.sleep(30);
        events.push("ended");
      },
      failed: () => void events.push("failed"),
      beforeCommit: nothing,
      afterCommit: nothing,
    },
  );
  await expect(new Response(fetch.read()).arrayBuffer()).rejects.toThrow("nothing for 0.02 s");
  // Who tries again now must not join it, though it is still being cleaned up.
  expect(events).toEqual(["failed"]);
  await expect(fetch.done).rejects.toThrow("nothing for 0.02 s");
  await Bun.sleep(10);
  process.off("unhandledRejection", note);
  expect(signal?.aborted).toBe(true);
  expect(unhandled).toEqual([]);
});
