/** Checks a config.json (runtime-spec 1.3) and reports all findings at once. Pure. */
import { capabilityNames } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { Checked, type Finding } from "./config-checks.ts";
import type { OciConfig, OciProcess } from "./oci-types.ts";
import { rlimitNames } from "./step-phrase.ts";
import { checkLinux } from "./validate-linux.ts";

const maxId = 0xffff_fffe;

/**
 * The config, once it is known to be one.
 * @throws {GantryError} "invalid": one line a finding, `PATH: what would be right`
 */
export function validateConfig(config: unknown): OciConfig {
  const findings = findConfigProblems(config);
  if (findings.length > 0) throw invalid("config.json", findings);
  return withoutNulls(config) as OciConfig;
}

/** As validateConfig, for a process alone (`exec --process`). */
export function validateProcess(process: unknown): OciProcess {
  const findings: Finding[] = [];
  checkProcess(new Checked(process, "process", findings));
  if (findings.length > 0) throw invalid("process", findings);
  return withoutNulls(process) as OciProcess;
}

/** Every finding, in the order of the document; none for a valid config. */
export function findConfigProblems(config: unknown): readonly Finding[] {
  const findings: Finding[] = [];
  const top = new Checked(config, "", findings);
  if (!top.object(true)) return [{ path: "config.json", problem: "must be an object" }];
  top.field("ociVersion").matches(/^1\.[0-9]+\.[0-9]+/, "a version 1.x.y of the runtime-spec", true);
  const root = top.field("root");
  if (root.object(true)) {
    if (root.field("path").text(true) === "") root.field("path").found("must not be empty");
    root.field("readonly").boolean();
  }
  if (!top.field("process").isMissing) checkProcess(top.field("process"));
  top
    .field("hostname")
    .matches(/^[^/\s]{0,64}$/, "a name of at most 64 characters without spaces or slashes");
  top
    .field("domainname")
    .matches(/^[^/\s]{0,64}$/, "a name of at most 64 characters without spaces or slashes");
  top.field("mounts").list().forEach(checkMount);
  for (const kind of [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
  ])
    top.field("hooks").field(kind).list().forEach(checkHook);
  for (const [, value] of top.field("annotations").entries()) value.text(true);
  checkLinux(top.field("linux"));
  checkNamespaceUses(top);
  return findings;
}

/** Go programs write `null` for what is not set: left out, so that a field is either there or missing. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutNulls(inner)]));
}

function invalid(what: string, findings: readonly Finding[]): GantryError {
  const lines = findings.map(({ path, problem }) => `${path}: ${problem}`);
  const message =
    lines.length === 1 ? (lines[0] ?? "") : `${what} has ${lines.length} errors:\n  ${lines.join("\n  ")}`;
  return new GantryError("invalid", message, {
    fields: { findings: findings.length, path: findings[0]?.path ?? "" },
  });
}

function checkProcess(process: Checked): void {
  if (!process.object(true)) return;
  process.field("cwd").absolutePath(true);
  process.field("terminal").boolean();
  process.field("noNewPrivileges").boolean();
  process.field("oomScoreAdj").integer(-1000, 1000);
  const args = process.field("args");
  const words = args.list();
  if (args.isMissing || words.length === 0) args.found("must name a program");
  for (const word of words) word.text(true);
  if (words[0]?.value === "") words[0].found("must not be empty");
  for (const entry of process.field("env").list()) entry.matches(/^[^=]+=/, "of the form NAME=VALUE", true);
  checkUser(process.field("user"));
  for (const set of ["bounding", "effective", "permitted", "inheritable", "ambient"])
    for (const name of process.field("capabilities").field(set).list())
      if (!capabilityNames.some((known) => known === name.text(true)))
        name.found("must be a capability such as CAP_CHOWN");
  const seen = new Set<unknown>();
  for (const limit of process.field("rlimits").list()) checkRlimit(limit, seen);
  const size = process.field("consoleSize");
  if (size.object()) {
    size.field("height").integer(0, 0xffff, true);
    size.field("width").integer(0, 0xffff, true);
  }
}

function checkUser(user: Checked): void {
  if (!user.object()) return;
  user.field("uid").integer(0, maxId);
  user.field("gid").integer(0, maxId);
  user.field("umask").integer(0, 0o777);
  for (const gid of user.field("additionalGids").list()) gid.integer(0, maxId, true);
}

function checkRlimit(limit: Checked, seen: Set<unknown>): void {
  if (!limit.object(true)) return;
  const type = limit.field("type");
  type.oneOf(rlimitNames, true);
  if (seen.has(type.value)) type.found("stands in the list twice");
  seen.add(type.value);
  limit.field("soft").integer(-1, 2 ** 64, true);
  limit.field("hard").integer(-1, 2 ** 64, true);
  const soft = limit.field("soft").value;
  const hard = limit.field("hard").value;
  const above =
    typeof soft === "number" && typeof hard === "number" && hard >= 0 && (soft > hard || soft < 0);
  if (above) limit.field("soft").found("must not be above the hard limit");
}

function checkMount(mount: Checked): void {
  if (!mount.object(true)) return;
  if (mount.field("destination").text(true) === "") mount.field("destination").found("must not be empty");
  mount.field("type").text();
  mount.field("source").text();
  const options = mount.field("options").list();
  for (const option of options) option.text(true);
  const isBind =
    mount.field("type").value === "bind" ||
    options.some(({ value }) => value === "bind" || value === "rbind");
  if (isBind) mount.field("source").text(true);
  else if (mount.field("type").isMissing) mount.field("type").found("is required where options hold no bind");
}

function checkHook(hook: Checked): void {
  if (!hook.object(true)) return;
  hook.field("path").absolutePath(true);
  hook.field("timeout").integer(1, 0x7fff_ffff);
  for (const word of [...hook.field("args").list(), ...hook.field("env").list()]) word.text(true);
}

/** What is the host's unless there is a namespace for it must not be changed without one. */
function checkNamespaceUses(top: Checked): void {
  const types = new Set(
    top
      .field("linux")
      .field("namespaces")
      .list()
      .map((ns) => ns.field("type").value),
  );
  const needs = (field: Checked, type: string): void => {
    const { value } = field;
    if (value !== undefined && value !== "" && !types.has(type))
      field.found(`needs a ${type} namespace in linux.namespaces`);
  };
  needs(top.field("hostname"), "uts");
  needs(top.field("domainname"), "uts");
  for (const [key, value] of top.field("linux").field("sysctl").entries()) {
    if (key.startsWith("net.")) needs(value, "network");
    else if (key === "kernel.hostname" || key === "kernel.domainname") needs(value, "uts");
    else if (/^(kernel\.(msg|sem|shm)|fs\.mqueue\.)/.test(key)) needs(value, "ipc");
    else value.found("is a setting of the whole host, not of a container's namespaces");
  }
}
