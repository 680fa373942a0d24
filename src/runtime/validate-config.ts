/** Checks a config.json (runtime-spec 1.3) and reports all findings at once. Pure. */
import {
  absolutePath,
  boolean,
  Checked,
  filled,
  type Finding,
  integer,
  listOf,
  mapOf,
  matching,
  object,
  text,
} from "./config-checks.ts";
import type { OciConfig } from "./oci-types.ts";
import { invalid, withoutNulls } from "./validate-part.ts";
import { linux, mappings } from "./validate-linux.ts";
import { process } from "./validate-process.ts";
import { checkTogether } from "./validate-together.ts";

/**
 * The config, once it is known to be one.
 * @throws {GantryError} "invalid": one line a finding, `PATH: what would be right`
 */
export function validateConfig(config: unknown): OciConfig {
  const findings = findConfigProblems(config);
  if (findings.length > 0) throw invalid("config.json", findings);
  return withoutNulls(config) as OciConfig;
}

/** Every finding, in the order of the document; none for a valid config. */
export function findConfigProblems(config: unknown): readonly Finding[] {
  const findings: Finding[] = [];
  const top = new Checked(config, "", findings);
  if (!wholeConfig(top)) return [{ path: "config.json", problem: "must be an object" }];
  checkTogether(top);
  return findings;
}

const name = matching(/^[^/\s]{0,64}$/, "a name of at most 64 characters without spaces or slashes");

const hook = object(
  { path: absolutePath, args: listOf(text), env: listOf(text), timeout: integer(1, 0x7fff_ffff) },
  ["path"],
);
const hooks = listOf(hook);

const mount = object(
  {
    destination: filled,
    type: text,
    source: text,
    options: listOf(text),
    uidMappings: mappings,
    gidMappings: mappings,
  },
  ["destination"],
  checkMount,
);

function checkMount(at: Checked): void {
  const type = at.field("type");
  const options = at.field("options").items.map(({ value }) => value);
  const isBind = type.value === "bind" || options.some((option) => option === "bind" || option === "rbind");
  if (isBind && at.field("source").isMissing) at.field("source").found("is required");
  const changes = options.some(
    (option) => typeof option === "string" && /^(remount|r?(private|slave|shared|unbindable))$/.test(option),
  );
  if (!isBind && !changes && type.isMissing) type.found("is required where options hold no bind");
  const uids = at.field("uidMappings");
  const gids = at.field("gidMappings");
  if (uids.isMissing !== gids.isMissing)
    (uids.isMissing ? uids : gids).found("is required: uidMappings and gidMappings come together");
  if (!uids.isMissing && !isBind) uids.found("is for bind mounts only");
}

const wholeConfig = object(
  {
    ociVersion: matching(
      /^1\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/,
      "a version 1.x.y of the runtime-spec",
    ),
    root: object({ path: filled, readonly: boolean }, ["path"]),
    process,
    hostname: name,
    domainname: name,
    mounts: listOf(mount),
    hooks: object({
      prestart: hooks,
      createRuntime: hooks,
      createContainer: hooks,
      startContainer: hooks,
      poststart: hooks,
      poststop: hooks,
    }),
    annotations: (at) => {
      const ok = mapOf(text)(at);
      if (at.keys.includes("")) at.found("must not have an empty key");
      return ok;
    },
    linux,
  },
  ["ociVersion", "root"],
);
