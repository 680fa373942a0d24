/** Names for the completion scripts, one a line: `gantry completion names KIND`. */
import type { Engine } from "../connection/engine.ts";
import { CliError } from "../errors.ts";

interface Named {
  readonly Name?: string;
  readonly Names?: readonly string[];
  readonly RepoTags?: readonly string[] | null;
}

type Ask = (engine: Engine) => Promise<readonly string[]>;

const waitMs = 2000;

const ask = async (
  engine: Engine,
  path: string,
  query: Readonly<Record<string, boolean>> = {},
): Promise<readonly Named[]> => {
  const answer = await engine.json<readonly Named[] | { readonly Volumes: readonly Named[] | null }>(
    "GET",
    path,
    {
      query,
      signal: AbortSignal.timeout(waitMs),
      mayStart: false,
    },
  );
  return "Volumes" in answer ? (answer.Volumes ?? []) : answer;
};

const containerNames = (list: readonly Named[]): string[] =>
  list.flatMap((one) => one.Names ?? []).map((name) => name.replace(/^\//, ""));

const kinds: Readonly<Record<string, Ask>> = {
  containers: async (engine) => containerNames(await ask(engine, "/containers/json", { all: true })),
  running: async (engine) => containerNames(await ask(engine, "/containers/json")),
  images: async (engine) =>
    (await ask(engine, "/images/json"))
      .flatMap((image) => image.RepoTags ?? [])
      .flatMap((tag) => (tag.endsWith(":latest") ? [tag.slice(0, -7), tag] : [tag])),
  volumes: async (engine) => (await ask(engine, "/volumes")).map((one) => one.Name ?? ""),
  contexts: async () => {
    const { ContextStore } = await import("../endpoint/context-store.ts");
    return ["default", ...(await ContextStore.open()).list().map(({ Name }) => Name)];
  },
  networks: async (engine) => (await ask(engine, "/networks")).map((one) => one.Name ?? ""),
};

/** The names of a kind; none when the engine does not answer, for nothing may disturb typing. */
export async function namesOf(engine: Engine, kind: string): Promise<string> {
  try {
    const names = Object.hasOwn(kinds, kind) ? await kinds[kind]?.(engine) : [];
    return (names ?? [])
      .filter((name) => !/[\s'"$`\\]/.test(name))
      .map((name) => `${name}\n`)
      .join("");
  } catch (error) {
    if (error instanceof CliError || (error instanceof Error && error.name === "TimeoutError")) return "";
    throw error;
  }
}
