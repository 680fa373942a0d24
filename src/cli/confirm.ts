/** A question before something that cannot be undone. */
import type { Invocation } from "./command.ts";
import { print } from "./output.ts";

/** Asks on the terminal unless --force is given; anything but y or yes means no. */
export async function confirmed({ flags }: Invocation, warning: string): Promise<boolean> {
  if (flags.bool("force")) return true;
  await print(`WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  let answer = "";
  for await (const piece of Bun.stdin.stream().pipeThrough(new TextDecoderStream())) {
    answer += piece;
    if (answer.includes("\n") || answer.length > 100) break;
  }
  return /^(y|yes)$/i.test(answer.trim());
}
