/** The settings that are for containers which do not say otherwise. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { messageOf, toGantryError } from "../../lib/index.ts";
import { Fields } from "../api/json-fields.ts";
import { parseLogConfig } from "../api/parse-log-config.ts";
import type { HostConfig, Ulimit } from "../container.ts";
import { engineDefaults, type EngineDefaults } from "../engine-defaults.ts";
import { seccompFor } from "../oci-security.ts";
import { Runtimes } from "../runtimes.ts";
import { toRlimit } from "../ulimits.ts";
import { hostAccounts } from "../users/host-accounts.ts";
import { remapOf } from "../users/id-maps.ts";
import { isMap, type Values } from "./given.ts";
import { parseSize } from "./parse-size.ts";

/** @throws {GantryError} "invalid" */
export function resolveContainerDefaults(
  values: Values,
  runtimes: Readonly<Record<string, string>>,
): EngineDefaults {
  return {
    init: values.switch("init") ?? engineDefaults.init,
    runtime: resolveRuntime(values, runtimes),
    log: resolveLog(values),
    ulimits: Object.entries(values.map("default-ulimits")).map(([name, item]) =>
      readUlimit(values, name, item),
    ),
    shmSize: resolveShmSize(values),
    ipcMode: oneOf(values, "default-ipc-mode", ["private", "shareable"]) ?? engineDefaults.ipcMode,
    cgroupnsMode: oneOf(values, "default-cgroupns-mode", ["private", "host"]),
    cgroupParent: values.text("cgroup-parent") ?? "",
    noNewPrivileges: values.switch("no-new-privileges") ?? false,
    seccomp: resolveSeccomp(values),
    dns: values.texts("dns").map((address) => {
      if (isIP(address) !== 0) return address;
      throw values.bad("dns", "the address of a name server is wanted", address);
    }),
    dnsSearch: values.texts("dns-search"),
    dnsOptions: values.texts("dns-opts"),
    publishIp: resolvePublishIp(values),
    idMaps: remapOf(values.text("userns-remap") ?? "", hostAccounts()),
  };
}

function resolveRuntime(values: Values, runtimes: Readonly<Record<string, string>>): string {
  const name = values.text("default-runtime") ?? "";
  const known = new Runtimes(runtimes);
  if (known.isOwn(name)) return "";
  if (Object.hasOwn(known.list(), name)) return name;
  throw values.bad("default-runtime", `one of ${Object.keys(known.list()).join(", ")} is wanted`);
}

function resolveLog(values: Values): HostConfig["LogConfig"] {
  const Type = values.text("log-driver") ?? engineDefaults.log.Type;
  const Config = Object.fromEntries(
    Object.entries(values.map("log-opts")).map(([name, value]) => {
      if (["string", "number", "boolean"].includes(typeof value)) return [name, String(value)];
      throw values.bad("log-opts", `a text is wanted for ${name}`, value);
    }),
  );
  try {
    return parseLogConfig(new Fields({ Type, Config }, "LogConfig"));
  } catch (error) {
    throw values.bad(values.get("log-opts") === undefined ? "log-driver" : "log-opts", messageOf(error));
  }
}

/** `nofile=1024:2048` as a flag, `{Soft, Hard}` in the file. */
function readUlimit(values: Values, name: string, item: unknown): Ulimit {
  const [soft, hard = soft] = typeof item === "string" ? item.split(":").map(Number) : [];
  const { Name = name, Soft = soft, Hard = hard ?? Soft } = isMap(item) ? item : {};
  if (Name !== name || !isLimit(Soft) || !isLimit(Hard) || (Hard >= 0 && (Soft < 0 || Soft > Hard)))
    throw values.bad("default-ulimits", "TYPE=SOFT[:HARD] is wanted, in the file TYPE: {Soft, Hard}", item);
  const ulimit = { Name: name, Soft, Hard };
  try {
    toRlimit(ulimit);
  } catch {
    throw values.bad("default-ulimits", "there is no such limit", name);
  }
  return ulimit;
}

function isLimit(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= -1;
}

function resolveShmSize(values: Values): number {
  const given = values.get("default-shm-size");
  if (given === undefined) return engineDefaults.shmSize;
  const bytes = typeof given.value === "number" ? given.value : parseSize(String(given.value));
  if (bytes !== undefined && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw values.bad("default-shm-size", "a size such as 64m is wanted");
}

function oneOf(values: Values, key: string, words: readonly string[]): string | undefined {
  const word = values.text(key);
  if (word === undefined || words.includes(word)) return word;
  throw values.bad(key, `${words.join(" or ")} is wanted`);
}

/** The profile's text is kept: the file may change under the engine, which a reload takes in. */
function resolveSeccomp(values: Values): string | undefined {
  const word = values.text("seccomp-profile") ?? "";
  if (word === "" || word === "builtin") return undefined;
  if (word === "unconfined") return word;
  let text: string;
  try {
    text = readFileSync(word, "utf8");
  } catch (error) {
    throw toGantryError(error, `read the seccomp profile ${word}`);
  }
  seccompFor({ Privileged: false, CapAdd: [], CapDrop: [], SecurityOpt: [`seccomp=${text}`] });
  return text;
}

function resolvePublishIp(values: Values): string {
  const address = values.text("ip") ?? "";
  if (address === "" || isIP(address) !== 0) return address === "0.0.0.0" ? "" : address;
  throw values.bad("ip", "an address is wanted");
}
