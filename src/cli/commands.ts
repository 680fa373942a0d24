/** The catalogue: every command, its one line for the help, and the one import() that brings it. */
import type { CommandSpec } from "./command.ts";
import { registry } from "./commands/registry/catalogue.ts";

export interface Entry {
  readonly summary: string;
  readonly load: () => Promise<CommandSpec>;
}

export interface Group {
  readonly summary: string;
  readonly members: Readonly<Record<string, Entry | Group>>;
}

export const isGroup = (member: Entry | Group): member is Group => "members" in member;

const run: Entry = {
  summary: "Create and run a new container from an image",
  load: async () => (await import("./commands/run.ts")).run,
};
const create: Entry = {
  summary: "Create a new container",
  load: async () => (await import("./commands/run.ts")).create,
};
const exec: Entry = {
  summary: "Execute a command in a running container",
  load: async () => (await import("./commands/exec.ts")).exec,
};
const ps: Entry = { summary: "List containers", load: async () => (await import("./commands/ps.ts")).ps };
const logs: Entry = {
  summary: "Fetch the logs of a container",
  load: async () => (await import("./commands/logs.ts")).logs,
};
const attach: Entry = {
  summary: "Attach local standard input, output, and error streams to a running container",
  load: async () => (await import("./commands/attach.ts")).attach,
};
const start: Entry = {
  summary: "Start one or more stopped containers",
  load: async () => (await import("./commands/start.ts")).start,
};
const stop: Entry = {
  summary: "Stop one or more running containers",
  load: async () => (await import("./commands/lifecycle.ts")).stop,
};
const restart: Entry = {
  summary: "Restart one or more containers",
  load: async () => (await import("./commands/lifecycle.ts")).restart,
};
const diff: Entry = {
  summary: "Inspect changes to files or directories on a container's filesystem",
  load: async () => (await import("./commands/changes.ts")).diff,
};
const commit: Entry = {
  summary: "Create a new image from a container's changes",
  load: async () => (await import("./commands/changes.ts")).commit,
};
const events: Entry = {
  summary: "Get real time events from the engine",
  load: async () => (await import("./commands/events.ts")).events,
};
const exportContainer: Entry = {
  summary: "Export a container's filesystem as a tar archive",
  load: async () => (await import("./commands/changes.ts")).exportContainer,
};
const kill: Entry = {
  summary: "Kill one or more running containers",
  load: async () => (await import("./commands/lifecycle.ts")).kill,
};
const wait: Entry = {
  summary: "Block until one or more containers stop, then print their exit codes",
  load: async () => (await import("./commands/lifecycle.ts")).wait,
};
const rm: Entry = {
  summary: "Remove one or more containers",
  load: async () => (await import("./commands/lifecycle.ts")).rm,
};
const pause: Entry = {
  summary: "Pause all processes within one or more containers",
  load: async () => (await import("./commands/lifecycle.ts")).pause,
};
const unpause: Entry = {
  summary: "Unpause all processes within one or more containers",
  load: async () => (await import("./commands/lifecycle.ts")).unpause,
};
const rename: Entry = {
  summary: "Rename a container",
  load: async () => (await import("./commands/lifecycle.ts")).rename,
};
const update: Entry = {
  summary: "Update configuration of one or more containers",
  load: async () => (await import("./commands/update.ts")).update,
};
const port: Entry = {
  summary: "List port mappings or a specific mapping for the container",
  load: async () => (await import("./commands/port.ts")).port,
};
const top: Entry = {
  summary: "Display the running processes of a container",
  load: async () => (await import("./commands/top.ts")).top,
};
const inspect: Entry = {
  summary: "Return low-level information on Gantry objects",
  load: async () => (await import("./commands/inspect.ts")).inspect,
};
const explain: Entry = {
  summary: "Print each step asked of the kernel for a container, and why",
  load: async () => (await import("./commands/explain.ts")).explain,
};
const images: Entry = {
  summary: "List images",
  load: async () => (await import("./commands/images.ts")).images,
};
const history: Entry = {
  summary: "Show the history of an image",
  load: async () => (await import("./commands/history.ts")).history,
};
const rmi: Entry = {
  summary: "Remove one or more images",
  load: async () => (await import("./commands/remove-images.ts")).rmi,
};
const tag: Entry = {
  summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
  load: async () => (await import("./commands/tag.ts")).tag,
};
const build: Entry = {
  summary: "Build an image from a Dockerfile",
  load: async () => (await import("./commands/build.ts")).build,
};
const importImage: Entry = {
  summary: "Import the contents from a tarball to create a filesystem image",
  load: async () => (await import("./commands/image-archives.ts")).importImage,
};
const load: Entry = {
  summary: "Load an image from a tar archive or STDIN",
  load: async () => (await import("./commands/image-archives.ts")).load,
};
const save: Entry = {
  summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
  load: async () => (await import("./commands/image-archives.ts")).save,
};
const pull: Entry = {
  summary: "Download an image from a registry",
  load: async () => (await import("./commands/pull.ts")).pull,
};
const push: Entry = {
  summary: "Upload an image to a registry",
  load: async () => (await import("./commands/pull.ts")).push,
};
const info: Entry = {
  summary: "Display system-wide information",
  load: async () => (await import("./commands/info.ts")).info,
};

/** Commands at the first level, in the order of the help. */
export const commands: Readonly<Record<string, Entry>> = {
  run,
  exec,
  ps,
  build,
  pull,
  push,
  images,
  logs,
  explain,
  version: {
    summary: "Show the version of client and engine",
    load: async () => (await import("./commands/version.ts")).version,
  },
  info,
  attach,
  commit,
  completion: {
    summary: "Print the completion script for a shell",
    load: async () => (await import("./commands/completion.ts")).completion,
  },
  create,
  diff,
  engine: { summary: "Run the engine", load: async () => (await import("./commands/engine.ts")).engine },
  events,
  export: exportContainer,
  history,
  import: importImage,
  inspect,
  kill,
  load,
  login: {
    summary: "Authenticate to a registry",
    load: async () => (await import("./commands/login.ts")).login,
  },
  logout: {
    summary: "Log out from a registry",
    load: async () => (await import("./commands/login.ts")).logout,
  },
  pause,
  port,
  rename,
  restart,
  rm,
  rmi,
  save,
  search: {
    summary: "Search Docker Hub, or another registry that can, for images",
    load: async () => (await import("./commands/search.ts")).search,
  },
  start,
  stop,
  tag,
  top,
  unpause,
  update,
  wait,
};

/** How many of `commands`, from the first, the help calls common. */
export const commonCount = 11;

export const groups: Readonly<Record<string, Group>> = {
  container: {
    summary: "Manage containers",
    members: {
      attach,
      commit,
      create,
      diff,
      exec,
      export: exportContainer,
      inspect: {
        summary: "Display detailed information on one or more containers",
        load: async () => (await import("./commands/inspect.ts")).inspectContainers,
      },
      kill,
      logs,
      ls: ps,
      pause,
      port,
      prune: {
        summary: "Remove all stopped containers",
        load: async () => (await import("./commands/prune.ts")).pruneContainers,
      },
      rename,
      restart,
      rm,
      run,
      start,
      stop,
      top,
      unpause,
      update,
      wait,
    },
  },
  context: {
    summary: "Manage contexts",
    members: {
      create: {
        summary: "Create a context",
        load: async () => (await import("./commands/contexts.ts")).createContext,
      },
      export: {
        summary: "Export a context to a tar archive FILE or a tar stream on STDOUT",
        load: async () => (await import("./commands/context-archives.ts")).exportContext,
      },
      import: {
        summary: "Import a context from a tar file",
        load: async () => (await import("./commands/context-archives.ts")).importContext,
      },
      inspect: {
        summary: "Display detailed information on one or more contexts",
        load: async () => (await import("./commands/contexts.ts")).inspectContexts,
      },
      ls: {
        summary: "List contexts",
        load: async () => (await import("./commands/contexts.ts")).listContexts,
      },
      rm: {
        summary: "Remove one or more contexts",
        load: async () => (await import("./commands/contexts.ts")).removeContexts,
      },
      show: {
        summary: "Print the name of the current context",
        load: async () => (await import("./commands/contexts.ts")).showContext,
      },
      update: {
        summary: "Update a context",
        load: async () => (await import("./commands/contexts.ts")).updateContext,
      },
      use: {
        summary: "Set the current context",
        load: async () => (await import("./commands/contexts.ts")).useContext,
      },
    },
  },
  image: {
    summary: "Manage images",
    members: {
      bootstrap: {
        summary: "Make a base image from packages of this machine's distribution",
        load: async () => (await import("./commands/bootstrap.ts")).bootstrap,
      },
      build,
      copy: {
        summary: "Copy an image between registries, layouts and archives, bit for bit",
        load: async () => (await import("./commands/image-copy.ts")).copy,
      },
      delete: {
        summary: "Delete an image in its registry",
        load: async () => (await import("./commands/image-remote.ts")).deleteRemote,
      },
      history,
      import: importImage,
      inspect: {
        summary: "Display detailed information on one or more images",
        load: async () => (await import("./commands/inspect.ts")).inspectImages,
      },
      load,
      ls: images,
      prune: {
        summary: "Remove unused images",
        load: async () => (await import("./commands/prune.ts")).pruneImages,
      },
      pull,
      push,
      referrers: {
        summary: "List what refers to an image in its registry: signatures, attestations, SBOMs",
        load: async () => (await import("./commands/image-remote.ts")).referrers,
      },
      rm: rmi,
      save,
      tag,
      tags: {
        summary: "List the tags that a repository has in its registry",
        load: async () => (await import("./commands/image-remote.ts")).tags,
      },
      verify: {
        summary: "Check that images on disk are what their digests say",
        load: async () => (await import("./commands/image-verify.ts")).verify,
      },
    },
  },
  manifest: {
    summary: "See manifests of images in registries",
    members: {
      inspect: {
        summary: "Display an image's manifest as its registry has it",
        load: async () => (await import("./commands/manifest-inspect.ts")).manifestInspect,
      },
    },
  },
  network: {
    summary: "Manage networks",
    members: {
      create: {
        summary: "Create a network",
        load: async () => (await import("./commands/networks.ts")).createNetwork,
      },
      inspect: {
        summary: "Display detailed information on one or more networks",
        load: async () => (await import("./commands/inspect.ts")).inspectNetworks,
      },
      ls: {
        summary: "List networks",
        load: async () => (await import("./commands/networks.ts")).listNetworks,
      },
      prune: {
        summary: "Remove all unused networks",
        load: async () => (await import("./commands/prune.ts")).pruneNetworks,
      },
      rm: {
        summary: "Remove one or more networks",
        load: async () => (await import("./commands/networks.ts")).removeNetworks,
      },
    },
  },
  registry,
  system: {
    summary: "Manage Gantry",
    members: {
      df: {
        summary: "Show disk usage",
        load: async () => (await import("./commands/disk-usage.ts")).diskUsage,
      },
      doctor: {
        summary: "Look for what is wrong with this machine and the engine, and tell the fix",
        load: async () => (await import("./commands/system-doctor.ts")).doctor,
      },
      "dial-stdio": {
        summary: "Proxy the stdio stream to the engine's connection",
        load: async () => (await import("./commands/dial-stdio.ts")).dialStdio,
      },
      events,
      info,
      prune: {
        summary: "Remove unused data",
        load: async () => (await import("./commands/prune.ts")).pruneSystem,
      },
      shutdown: {
        summary: "Stop all containers and the engine, because the host goes down",
        load: async () => (await import("./commands/system-life.ts")).shutdown,
      },
      unit: {
        summary: "Print the systemd units of the engine",
        load: async () => (await import("./commands/system-unit.ts")).unit,
      },
      upgrade: {
        summary: "Put another version in the running engine's place; containers go on",
        load: async () => (await import("./commands/system-life.ts")).upgrade,
      },
      uninstall: {
        summary: "Remove everything that Gantry made on this machine",
        load: async () => (await import("./commands/uninstall.ts")).uninstall,
      },
    },
  },
  volume: {
    summary: "Manage volumes",
    members: {
      create: {
        summary: "Create a volume",
        load: async () => (await import("./commands/volumes.ts")).createVolume,
      },
      inspect: {
        summary: "Display detailed information on one or more volumes",
        load: async () => (await import("./commands/inspect.ts")).inspectVolumes,
      },
      ls: { summary: "List volumes", load: async () => (await import("./commands/volumes.ts")).listVolumes },
      prune: {
        summary: "Remove unused local volumes",
        load: async () => (await import("./commands/prune.ts")).pruneVolumes,
      },
      rm: {
        summary: "Remove one or more volumes",
        load: async () => (await import("./commands/volumes.ts")).removeVolumes,
      },
    },
  },
};

/** Second names of members of groups. */
const memberAliases: Readonly<Record<string, string>> = { list: "ls", ps: "ls", remove: "rm" };

export type Found =
  | { readonly load: Entry["load"]; readonly path: readonly string[]; readonly rest: readonly string[] }
  | { readonly group: Group; readonly path: readonly string[] }
  | { readonly unknown: readonly string[]; readonly depth: number };

const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/** Finds the command that `words` begin with. */
export function findCommand(words: readonly string[]): Found {
  const first = words[0] ?? "";
  const entry = own(commands, first);
  if (entry !== undefined) return { load: entry.load, path: [first], rest: words.slice(1) };
  const group = own(groups, first);
  if (group === undefined) return { unknown: [first], depth: 0 };
  return findMember(group, words, 1);
}

/** Goes down from the group that the first `depth` words name. */
function findMember(group: Group, words: readonly string[], depth: number): Found {
  const path = words.slice(0, depth);
  const word = words[depth];
  if (word === undefined || word === "--help" || word === "-h") return { group, path };
  const isForeignAlias = word === "ps" && words[0] !== "container";
  const member =
    own(group.members, word) ?? own(group.members, isForeignAlias ? "" : (memberAliases[word] ?? ""));
  if (member === undefined) return { unknown: words.slice(0, depth + 1), depth };
  if (isGroup(member)) return findMember(member, words, depth + 1);
  return { load: member.load, path: words.slice(0, depth + 1), rest: words.slice(depth + 1) };
}

/** Every command with the words that name it, groups and their groups included. */
export function everyCommand(): readonly (readonly [path: readonly string[], entry: Entry])[] {
  return [
    ...Object.entries(commands).map(([name, entry]) => [[name], entry] as const),
    ...everyGroup().flatMap(([path, group]) =>
      Object.entries(group.members).flatMap(([name, member]) =>
        isGroup(member) ? [] : [[[...path, name], member] as const],
      ),
    ),
  ];
}

/** Every group with the words that name it. */
export function everyGroup(): readonly (readonly [path: readonly string[], group: Group])[] {
  const below = (path: readonly string[], group: Group): readonly (readonly [readonly string[], Group])[] => [
    [path, group],
    ...Object.entries(group.members).flatMap(([name, member]) =>
      isGroup(member) ? below([...path, name], member) : [],
    ),
  ];
  return Object.entries(groups).flatMap(([name, group]) => below([name], group));
}
