/** What stays in memory: the idle engine, the monitor of one container. */
import type { DockerHost, GantryHost } from "../hosts.ts";
import { pidsOf, pssMb } from "../memory.ts";
import type { Result } from "../result.ts";
import { output } from "../run-command.ts";
import { summarize } from "../statistics.ts";

/** The engine a while after its last request, beside dockerd and its containerd. */
export async function measureIdleEngine(gantry: GantryHost, docker: DockerHost): Promise<Result> {
  await Bun.sleep(3000);
  return {
    name: "idle engine, PSS",
    detail:
      "proportional set size of the engine (dockerd and its containerd together) 3 s after the last request",
    unit: "MB",
    ours: summarize([pssMb(gantry.pid)]),
    peers: [{ name: "docker.io", figure: summarize([pssMb(docker.pid) + pssMb(docker.containerdPid)]) }],
    limit: { is: "value", atMost: 60 },
  };
}

/** What stands beside each running container: our monitor, docker's shim. */
export function measureMonitor(gantry: GantryHost, docker: DockerHost): Result {
  const count = 5;
  const before = { ours: new Set(pidsOf("gantry-init")), theirs: new Set(pidsOf("containerd-shim-runc-v2")) };
  const names = Array.from({ length: count }, (_, i) => `bench-idle-${i}`);
  for (const host of [gantry, docker]) {
    for (const name of names)
      output(...host.client, "run", "-d", "--name", name, "busybox", "sleep", "100000");
  }
  try {
    const ours = pidsOf("gantry-init").filter((pid) => !before.ours.has(pid));
    const theirs = pidsOf("containerd-shim-runc-v2").filter((pid) => !before.theirs.has(pid));
    return {
      name: "beside each container, PSS",
      detail: `the monitor (docker: the shim) of each of ${count} idle containers`,
      unit: "MB",
      ours: summarize(ours.map(pssMb)),
      peers: [{ name: "docker.io", figure: summarize(theirs.map(pssMb)) }],
      limit: { is: "value", atMost: 0.5 },
    };
  } finally {
    for (const host of [gantry, docker]) output(...host.client, "rm", "-f", ...names);
  }
}
