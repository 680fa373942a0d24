/** Instructions that change the configuration only: each gives the new one and docker's words for the history. Pure. */
import { posix } from "node:path";
import { parseSignal } from "../../kernel/index.ts";
import type { ContainerDefaults } from "../../image/index.ts";
import { messageOf } from "../../lib/index.ts";
import type { CommandLine, Healthcheck, Instruction, KeyValue } from "../dockerfile/instruction.ts";
import { SyntaxProblem } from "../dockerfile/source.ts";
import { withEnv } from "./env-list.ts";
import { plainList, quoteHealthcheck, quoteList } from "./quote.ts";
import { expandIn, expandManyIn, type Scope, shellOf } from "./scope.ts";

export interface ConfigChange {
  readonly config: ContainerDefaults;
  readonly comment: string;
  readonly notes?: readonly string[];
}

export type ConfigInstruction = Exclude<Instruction, { readonly kind: "run" | "copy" | "add" | "workdir" }>;

function pairsIn(scope: Scope, pairs: readonly KeyValue[]): readonly KeyValue[] {
  return pairs.map(({ key, value }) => ({ key: expandIn(scope, key), value: expandIn(scope, value) }));
}

const commentOf = (word: string, pairs: readonly KeyValue[]): string =>
  [word, ...pairs.map(({ key, value }) => `${key}=${value}`)].join(" ");

function changeEnv(scope: Scope, pairs: readonly KeyValue[]): ConfigChange {
  // All values of one ENV see the environment before it.
  const expanded = pairsIn(scope, pairs);
  let env = scope.config.Env ?? [];
  for (const { key, value } of expanded) {
    if (key === "") throw new SyntaxProblem("ENV names can not be blank");
    scope.budget.spend(5 * env.length);
    env = withEnv(env, key, value);
  }
  return { config: { ...scope.config, Env: env }, comment: commentOf("ENV", expanded) };
}

function changeLabels(scope: Scope, pairs: readonly KeyValue[]): ConfigChange {
  const added = Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
  return {
    config: { ...scope.config, Labels: { ...scope.config.Labels, ...added } },
    comment: commentOf("LABEL", pairs),
  };
}

/** A command as it is stored: the shell form with the shell in front. */
function commandLineOf(scope: Scope, command: CommandLine): readonly string[] {
  return command.form === "exec" ? command.args : [...shellOf(scope.config), ...command.args];
}

function changeEntrypoint(scope: Scope, command: CommandLine): ConfigChange {
  const Entrypoint = commandLineOf(scope, command);
  const { Cmd, ...rest } = scope.config;
  // The base's command was meant for the base's entrypoint.
  const config = scope.cmdSet && Cmd !== undefined ? { ...rest, Cmd, Entrypoint } : { ...rest, Entrypoint };
  return { config, comment: `ENTRYPOINT ${quoteList(Entrypoint)}` };
}

function portsOf(word: string): readonly string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word);
  const first = Number(match?.[1]);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (match === null || last < first || last > 65_535 || first < 1)
    throw new SyntaxProblem(
      `invalid containerPort: ${word.slice(0, 60)}`,
      0,
      "write a port or a range: 80, 53/udp, 8000-8010",
    );
  const protocol = (match[3] ?? "tcp").toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
}

function changePorts(scope: Scope, words: readonly string[]): ConfigChange {
  const ports = words.flatMap((word) => expandManyIn(scope, word));
  const added = Object.fromEntries(ports.flatMap((port) => portsOf(port)).map((port) => [port, {}]));
  return {
    config: { ...scope.config, ExposedPorts: { ...scope.config.ExposedPorts, ...added } },
    comment: `EXPOSE ${ports.toSorted().join(" ")}`,
  };
}

function changeVolumes(scope: Scope, words: readonly string[]): ConfigChange {
  const paths = words.map((word) => expandIn(scope, word));
  if (paths.includes("")) throw new SyntaxProblem("VOLUME specified can not be an empty string");
  const added = Object.fromEntries(paths.map((path) => [path, {}]));
  return {
    config: { ...scope.config, Volumes: { ...scope.config.Volumes, ...added } },
    comment: `VOLUME ${plainList(paths)}`,
  };
}

function changeHealthcheck(scope: Scope, check: Healthcheck): ConfigChange {
  const old = scope.config.Healthcheck?.Test ?? [];
  const replaces = check.Test[0] !== "NONE" && old.length > 0 && old[0] !== "NONE";
  return {
    config: { ...scope.config, Healthcheck: check },
    comment: `HEALTHCHECK ${quoteHealthcheck(check)}`,
    ...(replaces ? { notes: [`Note: overriding previous HEALTHCHECK: ${plainList(old)}`] } : {}),
  };
}

function changeStopSignal(scope: Scope, word: string): ConfigChange {
  const StopSignal = expandIn(scope, word);
  try {
    parseSignal(StopSignal);
  } catch (error) {
    throw new SyntaxProblem(messageOf(error).slice(0, 80));
  }
  return { config: { ...scope.config, StopSignal }, comment: `STOPSIGNAL ${StopSignal}` };
}

type ArgOf<K extends Instruction["kind"]> = Extract<Instruction, { readonly kind: K }>;

function declareArgs(scope: Scope, { args }: ArgOf<"arg">): ConfigChange {
  const shown = args.map((arg) => {
    const name = expandIn(scope, arg.name);
    const value = arg.value === undefined ? undefined : expandIn(scope, arg.value);
    scope.args.declare(name, value);
    return value === undefined ? name : `${name}=${value}`;
  });
  return { config: scope.config, comment: `ARG ${shown.join(" ")}` };
}

/**
 * The change that an instruction makes. ARG, CMD and MAINTAINER also change the scope itself.
 * @throws {SyntaxProblem} when a word does not expand or means nothing
 */
export function planConfig(scope: Scope, instruction: ConfigInstruction): ConfigChange {
  const { config } = scope;
  switch (instruction.kind) {
    case "arg":
      return declareArgs(scope, instruction);
    case "env":
      return changeEnv(scope, instruction.pairs);
    case "label":
      return changeLabels(scope, instruction.literal ? instruction.pairs : pairsIn(scope, instruction.pairs));
    case "cmd": {
      const Cmd = commandLineOf(scope, instruction.command);
      scope.cmdSet ||= instruction.command.args.length > 0;
      return { config: { ...config, Cmd }, comment: `CMD ${quoteList(Cmd)}` };
    }
    case "entrypoint":
      return changeEntrypoint(scope, instruction.command);
    case "shell":
      return {
        config: { ...config, Shell: instruction.args },
        comment: `SHELL ${plainList(instruction.args)}`,
      };
    case "expose":
      return changePorts(scope, instruction.ports);
    case "volume":
      return changeVolumes(scope, instruction.paths);
    case "user": {
      const User = expandIn(scope, instruction.user);
      return { config: { ...config, User }, comment: `USER ${User}` };
    }
    case "stopsignal":
      return changeStopSignal(scope, instruction.signal);
    case "maintainer":
      scope.author = instruction.name;
      return { config, comment: `MAINTAINER ${instruction.name}` };
    case "healthcheck":
      return changeHealthcheck(scope, instruction.check);
    case "onbuild":
      return {
        config: { ...config, OnBuild: [...(config.OnBuild ?? []), instruction.trigger] },
        comment: `ONBUILD ${instruction.trigger}`,
      };
  }
}

/** The absolute path that WORKDIR names. @throws {SyntaxProblem} when it is empty */
export function workingDirectory(scope: Scope, word: string): string {
  const path = expandIn(scope, word);
  if (path === "") throw new SyntaxProblem("cannot normalize nothing: the path of WORKDIR is empty");
  const absolute = posix.resolve("/", scope.config.WorkingDir ?? "/", path);
  return absolute;
}
