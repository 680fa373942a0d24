/** The query of POST /build (Docker Engine API 1.50) as a request to the builder. Pure. */
import type { BuildLimits, BuildRequest } from "../../build/index.ts";
import { GantryError } from "../../lib/index.ts";
import { Fields } from "./json-fields.ts";
import { flagOf, numberOf, textOf } from "./query.ts";

/** @throws {GantryError} "invalid" with the parameter's name; "unsupported" for what this builder does not do */
export function parseBuild(query: URLSearchParams): Omit<BuildRequest, "context"> {
  refuseUnsupported(query);
  const dockerfile = textOf(query, "dockerfile");
  const remote = textOf(query, "remote");
  const target = textOf(query, "target");
  const platform = textOf(query, "platform");
  return {
    ...(dockerfile === "" ? {} : { dockerfile }),
    ...(remote === "" ? {} : { remote }),
    ...(target === "" ? {} : { target }),
    ...(platform === "" ? {} : { platform }),
    buildArgs: argsOf(query),
    labels: mapOf(query, "labels"),
    tags: query.getAll("t").filter((tag) => tag !== ""),
    noCache: flagOf(query, "nocache"),
    cacheFrom: cacheFromOf(query),
    pull: flagOf(query, "pull"),
    quiet: flagOf(query, "q"),
    remove: flagOf(query, "rm", true),
    forceRemove: flagOf(query, "forcerm"),
    network: textOf(query, "networkmode") || "default",
    extraHosts: query
      .getAll("extrahosts")
      .flatMap((hosts) => hosts.split(","))
      .filter((host) => host !== ""),
    limits: limitsOf(query),
  };
}

function refuseUnsupported(query: URLSearchParams): void {
  if (textOf(query, "version") === "2" || query.has("session") || query.has("buildid")) {
    throw new GantryError(
      "unsupported",
      "this engine builds with the classic builder only, not with BuildKit",
      { hint: "set DOCKER_BUILDKIT=0" },
    );
  }
  if (flagOf(query, "squash")) throw new GantryError("unsupported", "squash is not supported");
  if (!["", "null", "[]"].includes(textOf(query, "outputs")))
    throw new GantryError("unsupported", "build outputs other than an image are not supported");
  const isolation = textOf(query, "isolation");
  if (isolation !== "" && isolation !== "default")
    throw new GantryError("invalid", `Unsupported isolation: ${JSON.stringify(isolation)}`);
  const options = textOf(query, "securityopt");
  if (!["", "null", "[]"].includes(options))
    throw new GantryError("unsupported", "security options of a build are not supported");
}

/** Names of images, in JSON. */
function cacheFromOf(query: URLSearchParams): readonly string[] {
  const value = jsonOf(query, "cachefrom");
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}

function jsonOf(query: URLSearchParams, name: string): unknown {
  const text = textOf(query, name);
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GantryError("invalid", `invalid value for ${name}: not JSON`, { cause: error });
  }
}

function mapOf(query: URLSearchParams, name: string): Readonly<Record<string, string>> {
  return new Fields({ [name]: jsonOf(query, name) }, "").stringMap(name);
}

/** A name without a value is null: the Dockerfile's default holds. */
function argsOf(query: URLSearchParams): Readonly<Record<string, string | null>> {
  const fields = new Fields(jsonOf(query, "buildargs"), "buildargs");
  return Object.fromEntries(fields.keys().map((key) => [key, fields.has(key) ? fields.string(key) : null]));
}

const numbers = {
  memory: "memoryBytes",
  memswap: "memorySwapBytes",
  cpuperiod: "cpuPeriodUs",
  cpuquota: "cpuQuotaUs",
  cpushares: "cpuShares",
  shmsize: "shmSizeBytes",
} as const satisfies Record<string, keyof BuildLimits>;

function limitsOf(query: URLSearchParams): BuildLimits {
  // Clients send 0 and "" for what was not asked for.
  const given = Object.entries(numbers).flatMap(([name, limit]) => {
    const value = numberOf(query, name) ?? 0;
    return value === 0 ? [] : [[limit, value] as const];
  });
  const cpus = textOf(query, "cpusetcpus");
  const mems = textOf(query, "cpusetmems");
  const ulimits = new Fields({ ulimits: jsonOf(query, "ulimits") }, "").list("ulimits");
  return {
    ...Object.fromEntries(given),
    ...(cpus === "" ? {} : { cpusetCpus: cpus }),
    ...(mems === "" ? {} : { cpusetMems: mems }),
    ...(ulimits.length === 0
      ? {}
      : {
          ulimits: ulimits.map((one) => ({
            name: one.string("Name"),
            soft: one.integer("Soft"),
            hard: one.integer("Hard"),
          })),
        }),
  };
}
