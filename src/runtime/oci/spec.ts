/** `gantry-oci spec`: writes a config.json to begin with. */
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import type { VerbInput } from "./context.ts";
import { exampleConfig, rootlessConfig } from "./example-config.ts";
import { expectWords } from "./flags.ts";
import { hostCgroups } from "./host-cgroups.ts";
import { O_CREAT, O_EXCL } from "./open-flags.ts";

export function spec({ flags }: VerbInput): number {
  expectWords("spec", flags, 0);
  const bundle = flags.text("bundle") ?? "";
  if (bundle !== "") enter(bundle);
  const example = exampleConfig(hostCgroups().kind === "v2");
  const config = flags.is("rootless") ? rootlessConfig(example, host.uid(), host.gid()) : example;
  try {
    host.writeFile("config.json", JSON.stringify(config, undefined, "\t"), O_CREAT | O_EXCL, 0o666);
  } catch (error) {
    if (isErrno(error, "EEXIST"))
      throw new GantryError("conflict", "File config.json exists. Remove it first", { cause: error });
    throw toGantryError(error, "write config.json");
  }
  return 0;
}

function enter(bundle: string): void {
  try {
    host.chdir(bundle);
  } catch (error) {
    throw toGantryError(error, `chdir ${bundle}`);
  }
}
