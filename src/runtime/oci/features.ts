/** `gantry-oci features`: the features document of the runtime-spec (features.md, features-linux.md). */
import { print, type VerbInput } from "./context.ts";
import { featuresDocument } from "./features-document.ts";
import { expectWords } from "./flags.ts";
import { tryReadText } from "./host-cgroups.ts";
import { jsonText } from "./json-text.ts";

export function features({ flags }: VerbInput): number {
  expectWords("features", flags, 0);
  const release = tryReadText("/proc/sys/kernel/osrelease") ?? "";
  print(`${jsonText(featuresDocument(release), "    ")}\n`);
  return 0;
}
