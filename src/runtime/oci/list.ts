/** `gantry-oci list`. */
import { GantryError, isErrno, messageOf } from "../../lib/index.ts";
import { ContainerDir, containerIds } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { escapeAsGo } from "./json-text.ts";
import { type ShownState, shownState } from "./oci-state.ts";
import { stateRoot } from "./state-root.ts";
import { UserNames } from "./user-names.ts";

export function listContainers({ global, flags }: VerbInput): number {
  expectWords("list", flags, 0);
  const format = flags.text("format") ?? "table";
  if (!flags.is("quiet") && format !== "json" && format !== "table")
    throw new GantryError("invalid", "invalid format option", {
      hint: "use --format table or --format json",
    });
  // As runc: only the default directory may be missing, before the first container is made.
  if (!host.access(global.root, 0) && global.root !== stateRoot(undefined))
    throw new GantryError("not-found", `open ${global.root}: no such file or directory`, {
      hint: "--root names a directory that is not there",
    });
  if (flags.is("quiet")) {
    print(
      readEach(global.root, (dir) => dir.read().id)
        .map((id) => `${id}\n`)
        .join(""),
    );
    return 0;
  }
  const names = new UserNames();
  const rows = readEach(global.root, (dir) => shownState(dir, dir.read(), names.of(host.ownerOf(dir.path))));
  if (format === "json") print(`${escapeAsGo(JSON.stringify(rows.length === 0 ? null : rows))}\n`);
  else print(table(rows));
  return 0;
}

/** What `look` finds of each container; what cannot be read is told on stderr, as runc does. */
function readEach<T>(root: string, look: (dir: ContainerDir) => T): readonly T[] {
  const found: T[] = [];
  for (const id of containerIds(root)) {
    try {
      found.push(look(new ContainerDir(root, id)));
    } catch (error) {
      // "not-found": deleted meanwhile, or still being made.
      if (error instanceof GantryError && error.code === "not-found") continue;
      // What is no directory is no container.
      if (isErrno(error, "ENOTDIR")) continue;
      complain(`load container ${id}: ${messageOf(error)}\n`);
    }
  }
  return found;
}

function complain(words: string): void {
  try {
    host.write(2, words);
  } catch (error) {
    // EPIPE, EBADF: nobody hears it.
    if (!isErrno(error, "EPIPE", "EBADF")) throw error;
  }
}

const heading = {
  id: "ID",
  pid: "PID",
  status: "STATUS",
  bundle: "BUNDLE",
  created: "CREATED",
  owner: "OWNER",
} as const;

const narrowest = 12;
const gap = 3;

/** As Go's tabwriter with a minimum width of 12 and three spaces between. Pure. */
export function table(rows: readonly ShownState[]): string {
  const lines = [heading, ...rows];
  let [id, pid, status, bundle, created] = [narrowest, narrowest, narrowest, narrowest, narrowest];
  for (const line of lines) {
    id = Math.max(id, line.id.length + gap);
    pid = Math.max(pid, String(line.pid).length + gap);
    status = Math.max(status, line.status.length + gap);
    bundle = Math.max(bundle, line.bundle.length + gap);
    created = Math.max(created, line.created.length + gap);
  }
  // Joined at the end: QuickJS copies the whole text each time something is added to it.
  return lines
    .map(
      (line) =>
        line.id.padEnd(id) +
        String(line.pid).padEnd(pid) +
        line.status.padEnd(status) +
        line.bundle.padEnd(bundle) +
        `${line.created.padEnd(created)}${line.owner}\n`,
    )
    .join("");
}
