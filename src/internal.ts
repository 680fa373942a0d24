/** The hidden words: confined children that Gantry starts itself. Each reads its request on stdin and answers on stdout. */
import { GantryError } from "./lib/index.ts";

/** Runs one hidden word and returns its exit code. */
export async function main(words: readonly string[]): Promise<number> {
  switch (words[0]) {
    case "tree":
      return (await import("./image/child-main.ts")).main();
    default:
      throw new GantryError("invalid", `unknown internal word ${JSON.stringify(words[0] ?? "")}`);
  }
}
