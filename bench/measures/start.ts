/** From the command to its end: run, exec, the bare client. */
import type { DockerHost, GantryHost } from "../hosts.ts";
import { type Limit, type Result } from "../result.ts";
import { type Command, interleave, output } from "../run-command.ts";

interface Sides {
  readonly gantry: GantryHost;
  readonly docker: DockerHost;
  readonly podman: readonly string[];
  readonly rounds: number;
}

function compare(
  name: string,
  detail: string,
  commands: readonly Command[],
  rounds: number,
  limit: Limit,
): Result {
  const times = interleave(commands, rounds);
  const of = (command: Command) => {
    const summary = times.get(command.name);
    if (summary === undefined) throw new Error(`${command.name} was not measured`);
    return summary;
  };
  const [ours, ...peers] = commands;
  if (ours === undefined) throw new Error(`${name}: no command`);
  return {
    name,
    detail,
    unit: "ms",
    ours: of(ours),
    peers: peers.map((peer) => ({ name: peer.name, figure: of(peer) })),
    limit,
  };
}

/** `run --rm busybox true` on the default bridge. */
export function measureRun({ gantry, docker, podman, rounds }: Sides): Result {
  const words = ["run", "--rm", "busybox", "true"];
  return compare(
    "run a container",
    "`run --rm busybox true`, default bridge network, client start to client end",
    [
      { name: "gantry", words: [...gantry.client, ...words] },
      { name: "docker.io", words: [...docker.client, ...words] },
      {
        name: "podman",
        words: [
          ...podman,
          "run",
          "--rm",
          "--ulimit",
          "nofile=1024:1024",
          "--ulimit",
          "nproc=1024:1024",
          "--network",
          "none",
          "busybox",
          "true",
        ],
      },
    ],
    rounds,
    { is: "ratio", atMost: 0.1 },
  );
}

/** `exec NAME true` in a running container. */
export function measureExec({ gantry, docker, rounds }: Sides): Result {
  const name = "bench-exec";
  for (const host of [gantry, docker])
    output(...host.client, "run", "-d", "--name", name, "busybox", "sleep", "100000");
  try {
    return compare(
      "exec in a container",
      "`exec NAME true` in a running container",
      [
        { name: "gantry", words: [...gantry.client, "exec", name, "true"] },
        { name: "docker.io", words: [...docker.client, "exec", name, "true"] },
      ],
      rounds,
      { is: "ratio", atMost: 0.25 },
    );
  } finally {
    for (const host of [gantry, docker]) output(...host.client, "rm", "-f", name);
  }
}

/** The client alone. */
export function measureVersion({ gantry, docker, rounds }: Sides): Result {
  return compare(
    "client: version",
    "`version`, which asks the engine too",
    [
      { name: "gantry", words: [...gantry.client, "version"] },
      { name: "docker.io", words: [...docker.client, "version"] },
    ],
    rounds,
    { is: "value", atMost: 12 },
  );
}
