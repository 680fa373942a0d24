/** gantry system prune and the prune of each group. */
import type { CommandSpec, Invocation } from "../command.ts";
import type { Engine } from "../connection/engine.ts";
import { confirmed } from "../confirm.ts";
import { filtersQuery } from "../connection/engine.ts";
import type { Flag } from "../flags/flag.ts";
import { humanSize } from "../format/human.ts";
import { print } from "../output.ts";
import { force } from "./list-flags.ts";
import type { Deletion } from "./remove-images.ts";

const filter: Flag = {
  name: "filter",
  kind: "filter",
  help: 'Remove only what meets a condition ("until=24h", "label=key")',
};

interface Pruned {
  readonly text: string;
  readonly bytes: number;
}

type Prune = (engine: Engine, filters: readonly string[]) => Promise<Pruned>;

/** Posts to a prune path; `list` takes the names of what was removed out of the answer. */
function pruner<T extends { readonly SpaceReclaimed?: number }>(
  path: string,
  title: string,
  list: (answer: T) => readonly string[],
): Prune {
  return async (engine, filters) => {
    const answer = await engine.json<T>("POST", path, { query: { filters: filtersQuery(filters) } });
    const names = list(answer);
    return {
      text: names.length === 0 ? "" : `${title}:\n${names.map((name) => `${name}\n`).join("")}\n`,
      bytes: answer.SpaceReclaimed ?? 0,
    };
  };
}

const containers = pruner<{
  readonly ContainersDeleted: readonly string[] | null;
  readonly SpaceReclaimed: number;
}>("/containers/prune", "Deleted Containers", (answer) => answer.ContainersDeleted ?? []);
const networks = pruner<{
  readonly NetworksDeleted: readonly string[] | null;
  readonly SpaceReclaimed?: number;
}>("/networks/prune", "Deleted Networks", (answer) => answer.NetworksDeleted ?? []);
const volumes = pruner<{
  readonly VolumesDeleted: readonly string[] | null;
  readonly SpaceReclaimed: number;
}>("/volumes/prune", "Deleted Volumes", (answer) => answer.VolumesDeleted ?? []);
const images = pruner<{
  readonly ImagesDeleted: readonly Deletion[] | null;
  readonly SpaceReclaimed: number;
}>("/images/prune", "Deleted Images", (answer) =>
  (answer.ImagesDeleted ?? []).map((one) =>
    one.Deleted === undefined ? `untagged: ${one.Untagged ?? ""}` : `deleted: ${one.Deleted}`,
  ),
);
const buildCache = pruner<{
  readonly CachesDeleted: readonly string[] | null;
  readonly SpaceReclaimed: number;
}>("/build/prune", "Deleted build cache objects", (answer) => answer.CachesDeleted ?? []);

interface Part {
  readonly prune: Prune;
  readonly filters: readonly string[];
}

async function pruneAll(call: Invocation, warning: string, parts: readonly Part[]): Promise<number> {
  if (!(await confirmed(call, warning))) return 0;
  let bytes = 0;
  for (const { prune, filters } of parts) {
    const done = await prune(call.engine, filters);
    bytes += done.bytes;
    await print(done.text);
  }
  await print(`Total reclaimed space: ${humanSize(bytes)}\n`);
  return 0;
}

const shared = { usage: "[OPTIONS]", args: [0, 0] } as const;

export const pruneContainers: CommandSpec = {
  ...shared,
  summary: "Remove all stopped containers",
  flags: [filter, force],
  run: (call) =>
    pruneAll(call, "This will remove all stopped containers.", [
      { prune: containers, filters: call.flags.list("filter") },
    ]),
};

export const pruneImages: CommandSpec = {
  ...shared,
  summary: "Remove unused images",
  flags: [
    {
      name: "all",
      short: "a",
      kind: "bool",
      help: "Remove all images that no container uses, not just those without a name",
    },
    filter,
    force,
  ],
  run: (call) => {
    const all = call.flags.bool("all");
    const warning = all
      ? "This will remove all images without at least one container associated to them."
      : "This will remove all dangling images.";
    return pruneAll(call, warning, [
      { prune: images, filters: [...call.flags.list("filter"), `dangling=${!all}`] },
    ]);
  },
};

export const pruneNetworks: CommandSpec = {
  ...shared,
  summary: "Remove all unused networks",
  flags: [filter, force],
  run: async (call) => {
    const warning = "This will remove all custom networks not used by at least one container.";
    if (!(await confirmed(call, warning))) return 0;
    await print((await networks(call.engine, call.flags.list("filter"))).text);
    return 0;
  },
};

export const pruneVolumes: CommandSpec = {
  ...shared,
  summary: "Remove unused local volumes",
  flags: [
    { name: "all", short: "a", kind: "bool", help: "Remove named volumes too, not just anonymous ones" },
    filter,
    force,
  ],
  run: (call) => {
    const all = call.flags.bool("all");
    const warning = `This will remove ${all ? "all" : "anonymous"} local volumes not used by at least one container.`;
    return pruneAll(call, warning, [
      { prune: volumes, filters: [...call.flags.list("filter"), ...(all ? ["all=true"] : [])] },
    ]);
  },
};

export const pruneSystem: CommandSpec = {
  ...shared,
  summary: "Remove unused data",
  flags: [
    {
      name: "all",
      short: "a",
      kind: "bool",
      help: "Remove all images that no container uses, not just those without a name",
    },
    filter,
    force,
    { name: "volumes", kind: "bool", help: "Remove anonymous volumes too" },
  ],
  run: (call) => {
    const all = call.flags.bool("all");
    const withVolumes = call.flags.bool("volumes");
    const filters = call.flags.list("filter");
    const what = [
      "all stopped containers",
      "all networks not used by at least one container",
      ...(withVolumes ? ["all anonymous volumes not used by at least one container"] : []),
      all ? "all images without at least one container associated to them" : "all dangling images",
      all ? "all build cache" : "unused build cache",
    ];
    return pruneAll(call, `This will remove:\n${what.map((line) => `  - ${line}\n`).join("")}`, [
      { prune: containers, filters },
      { prune: networks, filters },
      ...(withVolumes ? [{ prune: volumes, filters }] : []),
      { prune: images, filters: [...filters, `dangling=${!all}`] },
      { prune: buildCache, filters: [...filters, ...(all ? ["all=true"] : [])] },
    ]);
  },
};
