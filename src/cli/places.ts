/** Places of images for `image copy`: those of the distribution room, and the engine's own store by way of a file. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type AuthConfig,
  type EndpointName,
  openSource,
  openTarget,
  parseEndpointName,
  type Registries,
} from "../distribution/index.ts";
import {
  canonicalName,
  createLayoutArchive,
  familiarName,
  type ImageSource,
  type ImageTarget,
  openLayoutArchive,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../image/index.ts";
import type { Engine } from "./connection/engine.ts";
import { failureOf, jsonLines } from "./connection/json-stream.ts";
import { CliError } from "./errors.ts";

export type Place = EndpointName | { readonly transport: "gantry"; readonly reference: Reference };

/** What begins like a place is none of the engine's names. */
const prefixes = /^(?:docker:\/\/|(?:oci|oci-archive|docker-archive):)/;

/** @throws {GantryError} "invalid" */
export function parsePlace(text: string): Place {
  if (prefixes.test(text)) return parseEndpointName(text);
  return { transport: "gantry", reference: withDefaultTag(parseReference(text.replace(/^gantry:/, ""))) };
}

/** The registry's, for flags and credentials; empty: it is none. */
export function hostOfPlace(place: Place): string {
  return place.transport === "docker" ? place.reference.domain : "";
}

export interface World {
  readonly engine: Engine;
  readonly registries: Registries;
}

export async function openFrom(
  place: Place,
  { engine, registries }: World,
  auth: AuthConfig | undefined,
): Promise<ImageSource> {
  if (place.transport !== "gantry") return openSource(place, registries, auth);
  const scratch = new Scratch();
  try {
    const query = { names: [familiarName(place.reference)], format: "oci" };
    const response = await engine.request("GET", "/images/get", { query });
    await Bun.write(scratch.file, response);
    return withScratch(await openLayoutArchive(scratch.file), scratch);
  } catch (error) {
    scratch.remove();
    throw error;
  }
}

/** The source; when it is closed the file goes, too. */
function withScratch(source: ImageSource, scratch: Scratch): ImageSource {
  const close = source[Symbol.asyncDispose].bind(source);
  source[Symbol.asyncDispose] = async () => {
    await close();
    scratch.remove();
  };
  return source;
}

interface Opened {
  readonly target: ImageTarget;
  /** The name that the image gets in it. */
  readonly tag: string | undefined;
}

interface Destination {
  /** Does the work with the target, closes it, and sees to it that what was written is where it belongs. */
  take<T>(work: (opened: Opened) => Promise<T>): Promise<T>;
}

export async function openTo(
  place: Place,
  { engine, registries }: World,
  auth: AuthConfig | undefined,
): Promise<Destination> {
  if (place.transport === "gantry") return new StoreDestination(engine, place.reference);
  const opened = await openTarget(place, registries, auth);
  return {
    take: async (work) => {
      await using _closed = opened.target;
      return await work(opened);
    },
  };
}

class StoreDestination implements Destination {
  readonly #engine: Engine;
  readonly #reference: Reference;

  constructor(engine: Engine, reference: Reference) {
    if (reference.digest !== undefined)
      throw new CliError("an image gets its name here by a tag, not by a digest");
    this.#engine = engine;
    this.#reference = reference;
  }

  async take<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
    const scratch = new Scratch();
    try {
      const result = await this.#write(scratch.file, work);
      const response = await this.#engine.request("POST", "/images/load", {
        query: { quiet: true },
        headers: { "Content-Type": "application/x-tar" },
        body: () => Bun.file(scratch.file).stream(),
      });
      for await (const message of jsonLines(response)) {
        const failure = failureOf(message);
        if (failure !== undefined) throw failure;
      }
      return result;
    } finally {
      scratch.remove();
    }
  }

  async #write<T>(file: string, work: (opened: Opened) => Promise<T>): Promise<T> {
    await using target = await createLayoutArchive(file);
    return await work({ target, tag: canonicalName(this.#reference) });
  }
}

/** A file for as long as a copy takes; images are too large for /tmp, which may be memory. */
class Scratch {
  readonly #dir = mkdtempSync("/var/tmp/gantry-copy-");

  constructor() {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)
      process.once(signal, () => {
        this.remove();
        process.exit(code);
      });
  }

  get file(): string {
    return join(this.#dir, "layout.tar");
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
