/** The process of an exec: from --process, or the container's own with what the flags change. */
import { GantryError } from "../../lib/index.ts";
import type { OciCapabilities, OciConfig, OciProcess, OciUser } from "../oci-types.ts";
import { validateProcess } from "../validate-process.ts";
import { readJson } from "./json-file.ts";
import type { ParsedFlags } from "./flags.ts";

/** @throws {GantryError} "invalid" naming the flag or the field */
export function execProcess(
  config: OciConfig,
  args: readonly string[],
  flags: ParsedFlags,
  env: readonly string[],
): OciProcess {
  const file = flags.text("process");
  if (file === undefined && args.length === 0)
    throw new GantryError("invalid", "process args cannot be empty");
  if (file === undefined) return fromFlags(config.process ?? { cwd: "/" }, args, flags, env);
  const read = validateProcess(readJson(file));
  return env.length === 0 ? read : { ...read, env: [...(read.env ?? []), ...env] };
}

/** A field, if there is a value for it. */
function field(name: string, value: string | undefined): object {
  return value === undefined || value === "" ? {} : { [name]: value };
}

// oxlint-disable-next-line max-params -- the parts of one process
function fromFlags(
  base: OciProcess,
  args: readonly string[],
  flags: ParsedFlags,
  env: readonly string[],
): OciProcess {
  const { consoleSize: _size, ...rest } = base;
  return validateProcess({
    ...rest,
    args,
    ...field("cwd", flags.text("cwd")),
    ...field("apparmorProfile", flags.text("apparmor")),
    ...field("selinuxLabel", flags.text("process-label")),
    terminal: flags.is("tty"),
    env: [...(base.env ?? []), ...flags.list("env"), ...env],
    user: userOf(base.user ?? { uid: 0, gid: 0 }, flags),
    noNewPrivileges: flags.has("no-new-privs") ? flags.is("no-new-privs") : base.noNewPrivileges === true,
    ...(flags.has("cap")
      ? { capabilities: withCapabilities(base.capabilities ?? {}, flags.list("cap")) }
      : {}),
  });
}

function userOf(base: OciUser, flags: ParsedFlags): OciUser {
  const given = flags.text("user") ?? "";
  const groups = flags.list("additional-gids").map((word) => wholeNumber("--additional-gids", word));
  const user = given === "" ? base : { ...base, ...parseUser(given) };
  return groups.length === 0
    ? user
    : { ...user, additionalGids: [...(user.additionalGids ?? []), ...groups] };
}

/** `UID[:GID]`, numbers only, as runc. */
export function parseUser(text: string): Partial<OciUser> {
  const [uid = "", gid] = text.split(":");
  return {
    uid: wholeNumber("--user", uid),
    ...(gid === undefined ? {} : { gid: wholeNumber("--user", gid) }),
  };
}

function wholeNumber(flag: string, word: string): number {
  if (!/^[0-9]{1,10}$/.test(word))
    throw new GantryError("invalid", `${flag}: ${JSON.stringify(word)} is not a number`);
  return Number(word);
}

/**
 * As runc: a --cap is added to these sets, and not to those that programs inherit (CVE-2022-29162); to the ambient one
 * where the config has an inheritable set, outside of which nothing becomes ambient.
 */
function withCapabilities(base: OciCapabilities, names: readonly string[]): OciCapabilities {
  const add = (set: readonly string[] = []): readonly string[] => [...new Set([...set, ...names])];
  return {
    ...base,
    bounding: add(base.bounding),
    effective: add(base.effective),
    permitted: add(base.permitted),
    ...((base.inheritable ?? []).length === 0
      ? {}
      : { ambient: add(base.ambient).filter((name) => base.inheritable?.includes(name) === true) }),
  };
}
