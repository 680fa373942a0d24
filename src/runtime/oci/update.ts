/** `gantry-oci update`: other limits for a container that lives. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import { updateResources } from "../cgroup-files.ts";
import type { OciResources } from "../oci-types.ts";
import { validateResources } from "../validate-resources.ts";
import { cgroupsPathOf } from "./container-cgroups.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords, type ParsedFlags } from "./flags.ts";
import { hostCgroupIo, hostCgroups } from "./host-cgroups.ts";
import { type CacheSchemas, findRdtGroup, writeSchemas } from "./intel-rdt.ts";
import { joinMissingCgroups, leave } from "./join-cgroups.ts";
import { systemdScopes } from "./systemd.ts";
import { warn } from "./log.ts";
import { mergeResources } from "./merge-resources.ts";
import { O_CREAT } from "./open-flags.ts";
import { undoIfFailed } from "./undoable-io.ts";
import { parseResources, resourcesOfFlags } from "./update-request.ts";

const maxRequestBytes = 1 << 20;

/** Nothing is changed unless all of it can be; what holds from now on is kept in the container's config. */
export function update({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("update", flags, 1);
  const asked = askedResources(flags);
  const schemas: CacheSchemas = { l3: flags.text("l3-cache-schema"), bandwidth: flags.text("mem-bw-schema") };
  if (asked.memory?.kernel !== undefined || asked.memory?.kernelTCP !== undefined)
    warn("Kernel memory settings are ignored and will be removed");
  const dir = new ContainerDir(global.root, id);
  dir.locked(() => {
    const stored = dir.read();
    if (dir.statusOf(stored) === "stopped") throw new GantryError("conflict", "container not running");
    apply(dir, stored, asked, schemas);
  });
  return 0;
}

// oxlint-disable-next-line max-params -- the container as directory and as state, and the two parts of the request
function apply(dir: ContainerDir, stored: StoredState, asked: OciResources, schemas: CacheSchemas): void {
  const { config } = stored;
  const { kept, change } = mergeResources(config.linux?.resources ?? {}, asked);
  validateResources(kept, "linux.resources");
  const rdt = findRdtGroup(config, stored.id, schemas);
  const rdtBefore = rdt === undefined ? undefined : writeSchemas(rdt, schemas);
  try {
    if (stored.systemdCgroup === true)
      systemdScopes().updateScope(cgroupsPathOf(stored), change, hostCgroups());
    changeLimits(dir, cgroupsPathOf(stored), change);
  } catch (error) {
    if (rdt !== undefined && rdtBefore !== undefined) writeSchemas(rdt, rdtBefore);
    throw error;
  }
  const intelRdt =
    rdt === undefined
      ? config.linux?.intelRdt
      : {
          ...config.linux?.intelRdt,
          ...(schemas.l3 === undefined ? {} : { l3CacheSchema: schemas.l3 }),
          ...(schemas.bandwidth === undefined ? {} : { memBwSchema: schemas.bandwidth }),
        };
  dir.write({
    ...stored,
    config: {
      ...config,
      linux: { ...config.linux, resources: kept, ...(intelRdt === undefined ? {} : { intelRdt }) },
    },
  });
}

function changeLimits(dir: ContainerDir, cgroupsPath: string, change: OciResources): void {
  const cgroups = hostCgroups();
  const made = joinMissingCgroups(hostCgroupIo, cgroups, cgroupsPath, change);
  try {
    undoIfFailed(hostCgroupIo, (io) => updateResources(io, cgroups, cgroupsPath, change));
  } catch (error) {
    leave(hostCgroupIo, cgroupsPath, made);
    throw error;
  }
  // gantry-init removes what its plan made; who ends the container sees that there is more.
  if (made.length > 0) host.writeFile(dir.moreCgroups, "", O_CREAT, 0o600);
}

/** A file counts alone: as in runc, the other flags are then ignored. */
function askedResources(flags: ParsedFlags): OciResources {
  const file = flags.text("resources") ?? "";
  if (file === "") return resourcesOfFlags(flags);
  return validateResources(parseResources(readRequest(file), file === "-" ? "stdin" : file), "");
}

function readRequest(file: string): string {
  try {
    return host.readFile(file === "-" ? "/dev/stdin" : file, maxRequestBytes);
  } catch (error) {
    throw toGantryError(error, `open ${file}`);
  }
}
