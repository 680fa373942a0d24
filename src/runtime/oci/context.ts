/** What every verb gets. */
import type { ParsedFlags } from "./flags.ts";

/** The runtime-spec that is spoken. */
export const specVersion = "1.3.0";

export interface GlobalOptions {
  /** Where the containers' state directories are. */
  readonly root: string;
}

export interface VerbInput {
  readonly global: GlobalOptions;
  readonly flags: ParsedFlags;
}

/** A verb's work; returns the exit code. */
export type Verb = (input: VerbInput) => Promise<number>;

/** Writes to stdout before the program ends, however slow the reader is. */
export async function print(text: string): Promise<void> {
  await Bun.write(Bun.stdout, text);
}
