/** What fields of a config.json demand of each other across its parts. Pure. */
import type { Checked } from "./config-checks.ts";

/** What is the host's unless there is a namespace for it must not be changed without one. */
export function checkTogether(top: Checked): void {
  const linux = top.field("linux");
  const namespaces = new Map(linux.field("namespaces").items.map((ns) => [ns.field("type").value, ns]));
  const needs = (field: Checked, type: string): void => {
    if (isSet(field.value) && !namespaces.has(type))
      field.found(`needs a ${type} namespace in linux.namespaces`);
  };
  needs(top.field("hostname"), "uts");
  needs(top.field("domainname"), "uts");
  needs(linux.field("uidMappings"), "user");
  needs(linux.field("gidMappings"), "user");
  needs(linux.field("timeOffsets"), "time");
  needs(linux.field("netDevices"), "network");
  for (const list of ["maskedPaths", "readonlyPaths"]) needs(linux.field(list), "mount");
  checkJoined(linux, namespaces);
  checkSysctls(top, needs);
  checkIdMaps(top, namespaces.has("user"));
}

/** What can only be set while a namespace is made. */
function checkJoined(linux: Checked, namespaces: ReadonlyMap<unknown, Checked>): void {
  const time = namespaces.get("time");
  if (time !== undefined && isSet(time.field("path").value) && isSet(linux.field("timeOffsets").value))
    linux.field("timeOffsets").found("cannot be set in a time namespace that is joined by path");
  const user = namespaces.get("user");
  if (user === undefined || isSet(user.field("path").value)) return;
  for (const kind of ["uidMappings", "gidMappings"])
    if (!isSet(linux.field(kind).value)) linux.field(kind).found("is required for a new user namespace");
}

const settingsOfIpc =
  /^(kernel\.(msgmax|msgmnb|msgmni|msg_next_id|sem|sem_next_id|shmall|shmmax|shmmni|shm_next_id|shm_rmid_forced)$|fs\.mqueue\.)/;

function checkSysctls(top: Checked, needs: (field: Checked, type: string) => void): void {
  const sysctl = top.field("linux").field("sysctl");
  for (const key of sysctl.keys) {
    const setting = sysctl.field(key);
    // Either separator may come first (sysctl(8)).
    const first = /[./]/.exec(key)?.[0];
    const name = first === "/" ? key.replace(/\//g, ".") : key;
    if (name === "kernel.hostname" || name === "kernel.domainname") {
      needs(setting, "uts");
      const field = top.field(name.slice("kernel.".length));
      if (isSet(field.value) && field.value !== setting.value) setting.found(`contradicts ${field.path}`);
    } else if (name.startsWith("net.")) needs(setting, "network");
    else if (settingsOfIpc.test(name)) needs(setting, "ipc");
    else if (name.startsWith("user.")) needs(setting, "user");
    else setting.found("is a setting of the whole host, not of a container's namespaces");
  }
}

function checkIdMaps(top: Checked, hasUserNamespace: boolean): void {
  for (const mount of top.field("mounts").items) {
    const options = mount.field("options");
    const maps = isSet(mount.field("uidMappings").value);
    const asked = options.items.find(({ value }) => value === "idmap" || value === "ridmap");
    if (asked !== undefined && !maps && !hasUserNamespace)
      asked.found("needs uidMappings and gidMappings of the mount, or a user namespace");
  }
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === "") return false;
  return typeof value !== "object" || value === null || Object.keys(value).length > 0;
}
