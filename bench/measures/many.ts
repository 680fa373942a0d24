/** A thousand containers: how fast they start, what each costs, how fast they are listed, how soon an engine is back. */
import type { GantryHost } from "../hosts.ts";
import { pidsOf, pssMb } from "../memory.ts";
import type { Result } from "../result.ts";
import { output, timeOnce } from "../run-command.ts";
import { summarize } from "../statistics.ts";

const workers = 4;

/** Starts `count` containers with a few clients at a time; seconds. */
async function startMany(client: readonly string[], from: number, count: number): Promise<number> {
  const started = performance.now();
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < from + count) {
      const child = Bun.spawn(
        [...client, "run", "-d", "--name", `many-${next++}`, "busybox", "sleep", "100000"],
        {
          stdin: "ignore",
          stdout: "ignore",
          stderr: "pipe",
        },
      );
      if ((await child.exited) !== 0)
        throw new Error(`run failed: ${await new Response(child.stderr).text()}`);
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  return (performance.now() - started) / 1000;
}

/** Engine and monitors together, in MB. */
function footprint(gantry: GantryHost): number {
  return pssMb(gantry.pid) + pidsOf("gantry-init").reduce((sum, pid) => sum + pssMb(pid), 0);
}

export async function measureMany(gantry: GantryHost, total: number): Promise<Result[]> {
  const half = total / 2;
  const empty = footprint(gantry);
  const seconds = [await startMany(gantry.client, 0, half)];
  const middle = footprint(gantry);
  seconds.push(await startMany(gantry.client, half, half));
  const full = footprint(gantry);
  const listing = Array.from({ length: 15 }, () => timeOnce({ name: "ps", words: [...gantry.client, "ps"] }));
  const listed = output(...gantry.client, "ps", "-q").split("\n").length;
  if (listed < total) throw new Error(`${listed} of ${total} containers are listed`);
  const value = (number: number) => summarize([number]);
  return [
    {
      name: `start of ${total}`,
      detail: `\`run -d busybox sleep\`, ${workers} clients at a time, bridge network`,
      unit: "per s",
      ours: summarize(seconds.map((s) => half / s)),
      peers: [],
      limit: { is: "value", atLeast: 40 },
    },
    {
      name: `ps of ${total} running`,
      detail: "`ps`, client start to client end",
      unit: "ms",
      ours: summarize(listing),
      peers: [],
      limit: { is: "value", atMost: 60 },
    },
    {
      name: "memory a container",
      detail: "engine and monitors together, PSS, over all of them",
      unit: "MB",
      ours: value((full - empty) / total),
      peers: [],
      limit: { is: "value", atMost: 1 },
    },
    {
      name: "memory a container is flat",
      detail: "what one of the second half costs, divided by what one of the first half costs",
      unit: "×",
      ours: value((full - middle) / (middle - empty)),
      peers: [],
      limit: { is: "value", atMost: 1.2 },
    },
  ];
}

/** Ends the containers of `measureMany`, restarts the engine several times, and removes them. */
export async function measureRestart(
  gantry: GantryHost,
  total: number,
  restart: () => Promise<GantryHost>,
): Promise<[Result, GantryHost]> {
  const ids = output(...gantry.client, "ps", "-q").split("\n");
  for (let at = 0; at < ids.length; at += 100) output(...gantry.client, "kill", ...ids.slice(at, at + 100));
  for (let at = 0; at < ids.length; at += 100) output(...gantry.client, "wait", ...ids.slice(at, at + 100));
  const times: number[] = [];
  let host = gantry;
  for (let round = 0; round < 5; round++) {
    await host.stop();
    host = await restart();
    times.push(host.readyMs);
  }
  const stopped = output(...host.client, "ps", "-aq").split("\n");
  if (stopped.length < total)
    throw new Error(`${stopped.length} of ${total} containers are left after the restart`);
  for (let at = 0; at < stopped.length; at += 100)
    output(...host.client, "rm", ...stopped.slice(at, at + 100));
  const result: Result = {
    name: `engine ready with ${total} stopped`,
    detail: "start of the engine's process to its word `ready`",
    unit: "ms",
    ours: summarize(times),
    peers: [],
    limit: { is: "value", atMost: 500 },
  };
  return [result, host];
}
