/** What a command is: data for parsing, help and completion, and the function that does it. */
import type { Engine } from "./connection/engine.ts";
import type { Flag } from "./flags/flag.ts";
import type { TlsFlags } from "./endpoint/open-endpoint.ts";
import type { FlagValues } from "./flags/parse-flags.ts";

/** Where the engine is and what may be done to reach it. */
export interface Globals {
  /** The value of -H; empty: the environment, the current context or the socket below `state` decides. */
  readonly host: string;
  /** The value of --context. */
  readonly context: string;
  readonly tls: TlsFlags;
  readonly state: string;
  /** --state was given, and not left to its default. */
  readonly stateGiven: boolean;
  /** Empty: the engine's own default. */
  readonly root: string;
  readonly autostart: boolean;
  readonly debug: boolean;
}

export interface Invocation {
  readonly flags: FlagValues;
  readonly args: readonly string[];
  readonly engine: Engine;
  readonly globals: Globals;
  /** The words that name the command: `["image", "ls"]`. */
  readonly path: readonly string[];
}

/** What completion offers for arguments. */
export type Completes =
  "containers" | "running" | "images" | "volumes" | "networks" | "contexts" | "files" | "none";

export interface CommandSpec {
  /** What follows the command's name in the usage line: `[OPTIONS] CONTAINER`. */
  readonly usage: string;
  readonly summary: string;
  /** More paragraphs for the help. */
  readonly about?: string;
  readonly aliases?: readonly string[];
  readonly examples?: readonly (readonly [command: string, what: string])[];
  readonly flags: readonly Flag[];
  /** How many arguments: [least, most]. */
  readonly args: readonly [number, number];
  readonly stopAtArgument?: true;
  readonly completes?: Completes;
  /**
   * It may read the keyboard: then the program ends itself, for a read of a terminal that is under way can neither be
   * taken back nor be left to the event loop, which it keeps alive (Bun 1.4.5).
   */
  readonly readsKeyboard?: true;
  /** Exit code of an error that brings none itself; 1 unless said otherwise. */
  readonly failure?: number;
  run(call: Invocation): Promise<number>;
}
