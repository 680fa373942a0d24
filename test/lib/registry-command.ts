/** `gantry registry …` of the compiled binary on the records of one root, with something on stdin. */
import { binary } from "./engine.ts";

const program: readonly string[] =
  process.env["GANTRY_SOURCE"] === "1"
    ? [process.execPath, new URL("../../src/main.ts", import.meta.url).pathname]
    : [binary];

/** @returns stdout. @throws {Error} with what it printed when it failed */
export async function registryCommand(root: string, words: readonly string[], input = ""): Promise<string> {
  const child = Bun.spawn([...program, "registry", ...words, "--root", root], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`gantry registry ${words.join(" ")}: ${out}${err}`);
  return out;
}
