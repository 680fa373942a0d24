/** Which engine a command is for: the flags before the environment, the environment before the current context. Pure. */
import { CliError } from "../errors.ts";

export interface HostWishes {
  /** Of -H. */
  readonly host: string;
  /** Of --context. */
  readonly context: string;
  /** --state was given: the engine of that directory is meant. */
  readonly stateGiven: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type ChosenHost =
  /** The engine's own socket below the state directory. */
  | { readonly from: "state" }
  | { readonly from: "host"; readonly text: string }
  | { readonly from: "context"; readonly name: string };

export const defaultContext = "default";

/**
 * As docker's client decides, with GANTRY_HOST before DOCKER_HOST.
 * @param currentContext of docker's configuration; asked only when nothing else decides
 * @throws {CliError} when flags contradict each other
 */
export async function chooseHost(
  wishes: HostWishes,
  currentContext: () => Promise<string>,
): Promise<ChosenHost> {
  const { host, context, stateGiven, env } = wishes;
  if (host !== "" && context !== "")
    throw new CliError("conflicting options: cannot specify both --host and --context", { bare: true });
  if (host !== "") return { from: "host", text: host };
  if (context !== "") return named(context, env);
  if (stateGiven) return { from: "state" };
  const hostOfEnv = env["GANTRY_HOST"] || env["DOCKER_HOST"] || "";
  if (hostOfEnv !== "") return { from: "host", text: hostOfEnv };
  return named(env["DOCKER_CONTEXT"] || (await currentContext()), env);
}

/** The default context is what holds without contexts. */
function named(name: string, env: HostWishes["env"]): ChosenHost {
  if (name !== "" && name !== defaultContext) return { from: "context", name };
  const host = env["GANTRY_HOST"] || env["DOCKER_HOST"] || "";
  return host === "" ? { from: "state" } : { from: "host", text: host };
}
