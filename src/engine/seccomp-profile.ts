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

/**
 * @param text the profile as JSON
 * @param capabilities those that the container has
 * @throws {GantryError} "invalid" with the field that is wrong
 */
export function resolveSeccompProfile(text: string, capabilities: readonly string[], arch: string = process.arch): SeccompProfile {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new GantryError("invalid", `Decoding seccomp profile failed: ${messageOf(error)}`, {
      hint: "seccomp= wants unconfined, builtin, or a profile as JSON",
    });
  }
  const fields = new Fields(body, "seccomp");
  const defaultAction = fields.string("defaultAction");
  if (defaultAction === "") throw new GantryError("invalid", "Decoding seccomp profile failed: it has no defaultAction");
  const rules = fields.list("syscalls");
  if (rules.length > maxRules) throw new GantryError("invalid", `Decoding seccomp profile failed: more than ${maxRules} rules`);
  const holds = (conditions: Fields): boolean => conditionsHold(conditions, capabilities, dockerArch[arch] ?? arch);
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

function toRule(rule: Fields): Rule {
  const name = rule.string("name");
  return {
    names: name === "" ? rule.strings("names") : [name],
    action: rule.string("action"),
    ...(rule.has("errnoRet") ? { errnoRet: rule.integer("errnoRet") } : {}),
    args: rule.list("args").map((arg) => ({
      index: arg.integer("index"),
      value: arg.integer("value"),
      valueTwo: arg.integer("valueTwo"),
      op: arg.string("op"),
    })),
  };
}
