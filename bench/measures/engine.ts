/**
 * The engine's daily work beside dockerd's. Each client is the engine's own, but for `cp` and `logs`, where docker's client talks
 * to both: what moves the bytes is compared, not what prints them.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../hosts.ts";
import type { Limit, Result } from "../result.ts";
import { type Command, interleave, output } from "../run-command.ts";

export interface EngineSides {
  readonly gantry: Host & { readonly socket: string };
  readonly docker: Host;
  readonly dir: string;
  readonly rounds: number;
}

type Pair = readonly [ours: Command, theirs: Command];

function compare(what: Pick<Result, "name" | "detail">, pair: Pair, rounds: number, limit: Limit): Result {
  const times = interleave(pair, rounds);
  const [ours, theirs] = pair.map(({ name }) => times.get(name));
  if (ours === undefined || theirs === undefined) throw new Error(`${what.name}: not measured`);
  return { ...what, unit: "ms", ours, peers: [{ name: "docker.io", figure: theirs }], limit };
}

const shell = (script: string): string[] => ["sh", "-c", script];
const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(" ");

/** All of them. The image busybox is there. */
export function measureEngine(sides: EngineSides): Result[] {
  return [
    measureRunRemove(sides),
    measureExecs(sides),
    measurePs(sides),
    ...measureCopies(sides),
    measureLogs(sides),
  ];
}

/** Docker's client at both engines. */
function sameClient({ gantry, docker }: EngineSides): readonly [string[], string[]] {
  return [["/usr/bin/docker", "-H", `unix://${gantry.socket}`], [...docker.client]];
}

function measureRunRemove({ gantry, docker, rounds }: EngineSides): Result {
  const both = (client: readonly string[]): string[] =>
    shell(`${quoted(client)} run -d --name bench-rr busybox sleep 1000 && ${quoted(client)} rm -f bench-rr`);
  return compare(
    {
      name: "run -d and rm -f",
      detail: "`run -d busybox sleep 1000` and `rm -f` of it, one after the other",
    },
    [
      { name: "gantry", words: both(gantry.client) },
      { name: "docker.io", words: both(docker.client) },
    ],
    rounds,
    { is: "ratio", atMost: 0.12 },
  );
}

/** Runs `work` while both have a container of this name. */
function withContainer<T>(
  clients: readonly (readonly string[])[],
  name: string,
  command: readonly string[],
  work: () => T,
): T {
  for (const client of clients) output(...client, "run", "-d", "--name", name, ...command);
  try {
    return work();
  } finally {
    for (const client of clients) output(...client, "rm", "-f", name);
  }
}

function measureExecs({ gantry, docker, rounds }: EngineSides): Result {
  const words = ["exec", "bench-exec", "true"];
  return withContainer([gantry.client, docker.client], "bench-exec", ["busybox", "sleep", "100000"], () =>
    compare(
      { name: "exec", detail: "`exec NAME true` in a running container" },
      [
        { name: "gantry", words: [...gantry.client, ...words] },
        { name: "docker.io", words: [...docker.client, ...words] },
      ],
      rounds,
      { is: "ratio", atMost: 0.2 },
    ),
  );
}

function measurePs({ gantry, docker, rounds }: EngineSides): Result {
  const names = Array.from({ length: 50 }, (_, number) => `bench-ps-${number}`);
  for (const { client } of [gantry, docker])
    for (const name of names) output(...client, "run", "-d", "--name", name, "busybox", "sleep", "100000");
  try {
    return compare(
      { name: "ps of 50", detail: "`ps` with 50 running containers" },
      [
        { name: "gantry", words: [...gantry.client, "ps"] },
        { name: "docker.io", words: [...docker.client, "ps"] },
      ],
      rounds,
      { is: "ratio", atMost: 0.5 },
    );
  } finally {
    for (const { client } of [gantry, docker]) output(...client, "rm", "-f", ...names);
  }
}

const copiedMb = 200;

function measureCopies(sides: EngineSides): Result[] {
  const [ours, theirs] = sameClient(sides);
  const file = join(sides.dir, "200mb");
  const noise = crypto.getRandomValues(new Uint8Array(65_536));
  writeFileSync(file, Buffer.concat(Array.from({ length: copiedMb * 16 }, () => noise)));
  const rounds = Math.max(3, Math.floor(sides.rounds / 3));
  const limit = { is: "ratio", atMost: 0.7 } as const;
  try {
    return withContainer([ours, theirs], "bench-cp", ["busybox", "sleep", "100000"], () => {
      const into = (client: readonly string[]): string[] => [...client, "cp", file, "bench-cp:/file"];
      const from = (client: readonly string[]): string[] =>
        shell(`${quoted(client)} cp bench-cp:/file - > /dev/null`);
      const pair = (words: (client: readonly string[]) => string[]): Pair => [
        { name: "gantry", words: words(ours) },
        { name: "docker.io", words: words(theirs) },
      ];
      return [
        compare(
          { name: "cp into a container", detail: `\`docker cp\` of a file of ${copiedMb} MB` },
          pair(into),
          rounds,
          limit,
        ),
        compare(
          { name: "cp from a container", detail: `\`docker cp NAME:/file -\` of ${copiedMb} MB` },
          pair(from),
          rounds,
          limit,
        ),
      ];
    });
  } finally {
    rmSync(file);
  }
}

/** 10 million lines of 100 bytes. */
const logLines = 10_000_000;

function measureLogs(sides: EngineSides): Result {
  const [ours, theirs] = sameClient(sides);
  const line = "x".repeat(99);
  const flags = "--log-driver json-file --log-opt max-size=4g busybox sh -c".split(" ");
  const run = [...flags, `yes ${line} | head -n ${logLines}`];
  const clients = [ours, theirs];
  for (const client of clients) output(...client, "run", "-d", "--name", "bench-logs", ...run);
  for (const client of clients) output(...client, "wait", "bench-logs");
  try {
    const words = (client: readonly string[]): string[] =>
      shell(`${quoted(client)} logs bench-logs > /dev/null`);
    return compare(
      { name: "logs of 1 GB", detail: "`docker logs` of 10 million lines of 100 bytes" },
      [
        { name: "gantry", words: words(ours) },
        { name: "docker.io", words: words(theirs) },
      ],
      3,
      { is: "ratio", atMost: 0.5 },
    );
  } finally {
    for (const client of clients) output(...client, "rm", "-f", "bench-logs");
  }
}
