/**
 * Pulls from an OCI layout into a store and kills itself at a chosen point: the arguments are the store's directory, the
 * layout's, and how many steps to take. A step is a piece of a blob, a manifest or a progress event. Prints how many there were.
 */
import { ImageStore, type ImageSource, openLayout, parseReference } from "../../src/image/index.ts";
import { loadSys } from "../../src/kernel/index.ts";
import { createLogger, Database } from "../../src/lib/index.ts";

const [root = "", layout = "", last = ""] = process.argv.slice(2);
let steps = 0;
const step = (): void => {
  if (++steps === Number(last)) process.kill(process.pid, "SIGKILL");
};

const inner = await openLayout(layout);
const source: ImageSource = {
  name: "faulty",
  async manifest(reference) {
    step();
    return inner.manifest(reference);
  },
  async *blob(blob, options) {
    for await (const chunk of inner.blob(blob, options))
      for (let at = 0; at < chunk.length; at += 200_000) {
        step();
        yield chunk.subarray(at, at + 200_000);
        step();
      }
  },
  referrers: async () => [],
  tags: async () => [],
  [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
};
const db = new Database(`${root}/db`);
const store = new ImageStore({ root, db, sys: loadSys(), logger: createLogger("error") });
await store.pull({ source, reference: parseReference("test.example/thing:1"), onProgress: step });
step();
await store.idle();
console.log(steps);
process.exit(0);
