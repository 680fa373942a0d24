/**
 * `--security-opt seccomp=PROFILE`: Docker's format, which adds conditions (architecture, capabilities) to the OCI's. Conditions
 * are decided here, so that what is left is an OCI profile. Pure.
 */
import { GantryError, messageOf } from "../lib/index.ts";
import type { SeccompProfile } from "../runtime/index.ts";
import { Fields } from "./api/json-fields.ts";

/** Docker's names of the architectures that Gantry runs on. */
const dockerArch: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
const maxRules = 4096;

type Rule = NonNullable<SeccompProfile["syscalls"]>[number];
type Action = Rule["action"];
type Operator = NonNullable<Rule["args"]>[number]["op"];

const actions: readonly Action[] = [
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_LOG",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_TRAP",
];
const operators: readonly Operator[] = [
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_LE",
  "SCMP_CMP_LT",
  "SCMP_CMP_MASKED_EQ",
  "SCMP_CMP_NE",
];

/**
 * @param text the profile as JSON
 * @param capabilities those that the container has
 * @throws {GantryError} "invalid" with the field that is wrong
 */
export function resolveSeccompProfile(
  text: string,
  capabilities: readonly string[],
  arch: string = process.arch,
): SeccompProfile {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new GantryError("invalid", `Decoding seccomp profile failed: ${messageOf(error)}`, {
      hint: "seccomp= wants unconfined, builtin, or a profile as JSON",
    });
  }
  const fields = new Fields(body, "seccomp");
  const defaultAction = oneOf(fields, "defaultAction", actions);
  const rules = fields.list("syscalls");
  if (rules.length > maxRules)
    throw new GantryError("invalid", `Decoding seccomp profile failed: more than ${maxRules} rules`);
  const holds = (conditions: Fields): boolean =>
    conditionsHold(conditions, capabilities, dockerArch[arch] ?? arch);
  const applicable = rules.filter((rule) => isApplicable(rule, holds));
  return {
    defaultAction,
    ...(fields.has("defaultErrnoRet") ? { defaultErrnoRet: fields.integer("defaultErrnoRet") } : {}),
    ...(fields.has("architectures") ? { architectures: fields.strings("architectures") } : {}),
    ...(fields.has("flags") ? { flags: fields.strings("flags") } : {}),
    syscalls: applicable.map(toRule),
  };
}

/** All of `includes` must hold, none of `excludes` may. */
function isApplicable(rule: Fields, holds: (conditions: Fields) => boolean): boolean {
  const excludes = rule.object("excludes");
  if (rule.has("includes") && !holds(rule.object("includes"))) return false;
  return excludes.keys().length === 0 || !anyExcluded(excludes, holds);
}

function anyExcluded(excludes: Fields, holds: (conditions: Fields) => boolean): boolean {
  return excludes.keys().some((key) => holds(new Fields({ [key]: excludes.raw(key) }, "excludes")));
}

function conditionsHold(conditions: Fields, capabilities: readonly string[], arch: string): boolean {
  const arches = conditions.strings("arches");
  if (arches.length > 0 && !arches.includes(arch)) return false;
  if (!conditions.strings("caps").every((capability) => capabilities.includes(capability))) return false;
  const minKernel = conditions.string("minKernel");
  // Gantry runs on 5.10 and later; Docker's own profile asks for 4.8 and 5.0.
  return minKernel === "" || Number.parseFloat(minKernel) <= 5.1;
}

function oneOf<T extends string>(fields: Fields, key: string, allowed: readonly T[]): T {
  const given = fields.string(key);
  const found = allowed.find((value) => value === given);
  if (found !== undefined) return found;
  throw new GantryError(
    "invalid",
    `Decoding seccomp profile failed: ${key} is ${JSON.stringify(given.slice(0, 60))}`,
    {
      hint: `one of: ${allowed.join(" ")}`,
    },
  );
}

function toRule(rule: Fields): Rule {
  const name = rule.string("name");
  return {
    names: name === "" ? rule.strings("names") : [name],
    action: oneOf(rule, "action", actions),
    ...(rule.has("errnoRet") ? { errnoRet: rule.integer("errnoRet") } : {}),
    args: rule.list("args").map((arg) => ({
      index: arg.integer("index"),
      value: arg.integer("value"),
      valueTwo: arg.integer("valueTwo"),
      op: oneOf(arg, "op", operators),
    })),
  };
}
