/** Image manifests of App Container images (appc spec 0.8, "Image Manifest Schema") and what they are in OCI's words. */
import { GantryError } from "../lib/index.ts";
import { Fields } from "./image-config.ts";
import { parseStrictJson } from "./strict-json.ts";
import type { ContainerDefaults } from "./types.ts";

/** A manifest that gantry can make an image of. */
export interface AciImage {
  /** `example.com/reduce-worker`: also a valid name of a repository. */
  readonly name: string;
  readonly version: string | undefined;
  readonly architecture: string;
  readonly variant: string | undefined;
  readonly author: string | undefined;
  /** RFC 3339. */
  readonly created: string | undefined;
  readonly config: ContainerDefaults;
  /** Absolute paths of all that the root file system keeps; all of it when there are none. */
  readonly pathWhitelist: readonly string[];
  /** What the image says and OCI has no word for: sentences for whoever imports it. */
  readonly warnings: readonly string[];
}

export const maxAciManifestBytes: number = 4 << 20;

const identifier = /^[a-z0-9]+(?:[-._~/][a-z0-9]+)*$/;
const maxPorts = 1000;

/** The spec's names of processors, in OCI's words. */
const architectures: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ["amd64", ["amd64"]],
  ["i386", ["386"]],
  ["aarch64", ["arm64"]],
  ["aarch64_be", ["arm64be"]],
  ["armv6l", ["arm", "v6"]],
  ["armv7l", ["arm", "v7"]],
  ["armv7b", ["armbe", "v7"]],
  ["ppc64", ["ppc64"]],
  ["ppc64le", ["ppc64le"]],
  ["s390x", ["s390x"]],
]);

/** Annotations that OCI has a key of its own for. */
const annotationKeys: ReadonlyMap<string, string> = new Map([
  ["authors", "org.opencontainers.image.authors"],
  ["created", "org.opencontainers.image.created"],
  ["homepage", "org.opencontainers.image.url"],
  ["documentation", "org.opencontainers.image.documentation"],
]);

/**
 * @param defaultArchitecture for an image that does not name one
 * @throws {GantryError} "corrupt" for what is no manifest, "unsupported" for one that gantry cannot make an image of
 */
export function parseAciManifest(bytes: Uint8Array, defaultArchitecture: string): AciImage {
  const document = parseStrictJson(bytes, (why) => corrupt(why));
  const fields = new Fields(document, "the ACI's manifest");
  const kind = fields.text("acKind");
  if (kind !== "ImageManifest") throw corrupt(`its acKind is ${JSON.stringify(kind)}, not "ImageManifest"`);
  if (!/^\d+\.\d+\.\d+/.test(fields.text("acVersion") ?? "")) throw corrupt("it has no acVersion");
  const name = identifierOf(fields.text("name"), "name");
  refuseDependencies(fields);
  const labels = pairs(fields, "labels");
  const annotations = pairs(fields, "annotations");
  const os = labels.get("os") ?? "linux";
  if (os !== "linux") throw unsupported(`it is for ${JSON.stringify(os)}, not for linux`);
  const given = labels.get("arch");
  const known = given === undefined ? ([defaultArchitecture] as const) : architectures.get(given);
  if (known === undefined) throw unsupported(`it is for the unknown architecture ${JSON.stringify(given)}`);
  const app = fields.object("app");
  const warnings: string[] = [];
  return {
    name,
    version: labels.get("version"),
    architecture: known[0],
    variant: known[1],
    author: annotations.get("authors"),
    created: timeOf(annotations.get("created")),
    config: {
      ...(app === undefined ? {} : appConfig(app, warnings)),
      Labels: {
        "appc.io/name": name,
        ...prefixed("appc.io/label/", labels),
        ...ociAnnotations(annotations),
        ...versionLabel(labels.get("version")),
        ...(app === undefined ? {} : appLabels(app)),
      },
    },
    pathWhitelist: (fields.texts("pathWhitelist") ?? []).map((path) => absolute(path, "pathWhitelist")),
    warnings,
  };
}

function corrupt(why: string): GantryError {
  return new GantryError("corrupt", `invalid ACI manifest: ${why}`);
}

function unsupported(why: string, hint?: string): GantryError {
  return new GantryError("unsupported", `cannot import the ACI: ${why}`, hint === undefined ? {} : { hint });
}

function identifierOf(text: string | undefined, what: string): string {
  if (text !== undefined && text.length <= 255 && identifier.test(text)) return text;
  throw corrupt(`${what} is ${JSON.stringify(text?.slice(0, 200))}, which is no AC identifier`);
}

function absolute(path: string, what: string): string {
  if (path.startsWith("/") && !path.includes("\0") && !path.split("/").includes("..")) return path;
  throw corrupt(`${what} has ${JSON.stringify(path.slice(0, 200))}, which is no absolute path`);
}

function timeOf(text: string | undefined): string | undefined {
  return text !== undefined && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : undefined;
}

function refuseDependencies(fields: Fields): void {
  const dependencies = (fields.list("dependencies") ?? []).map(
    (value) => new Fields(value, "a dependency of the ACI's manifest").text("imageName") ?? "without name",
  );
  if (dependencies.length === 0) return;
  const names = dependencies.slice(0, 10).join(", ");
  throw unsupported(
    `it depends on other images (${names.slice(0, 500)}), which are not in it`,
    "make one image of it and its dependencies first, for example with acbuild or rkt image render",
  );
}

/** A list of {name, value}; of equal names the first counts, as in the spec of labels there is only one. */
function pairs(fields: Fields, key: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const value of fields.list(key) ?? []) {
    const pair = new Fields(value, `${key} of the ACI's manifest`);
    const name = identifierOf(pair.text("name")?.toLowerCase(), `a name in ${key}`);
    if (found.has(name)) throw corrupt(`${key} has ${JSON.stringify(name)} twice`);
    found.set(name, pair.text("value") ?? "");
  }
  return found;
}

function prefixed(prefix: string, map: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...map].map(([name, value]) => [prefix + name, value]));
}

function ociAnnotations(annotations: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(
    [...annotations].map(([name, value]) => [
      annotationKeys.get(name) ?? `appc.io/annotation/${name}`,
      value,
    ]),
  );
}

function versionLabel(version: string | undefined): Record<string, string> {
  return version === undefined ? {} : { "org.opencontainers.image.version": version };
}

function appConfig(app: Fields, warnings: string[]): ContainerDefaults {
  const exec = app.texts("exec") ?? [];
  const workingDirectory = app.text("workingDirectory");
  const mounts = (app.list("mountPoints") ?? []).map((value) => mountPath(value, warnings));
  const ports = (app.list("ports") ?? []).flatMap((value) => portKeys(value, warnings));
  if (ports.length > maxPorts) throw unsupported(`its app has more than ${maxPorts} ports`);
  warnOfTheRest(app, warnings);
  return {
    User: `${userOf(app.text("user"), "user")}:${userOf(app.text("group"), "group")}`,
    Env: environmentOf(app),
    ...(exec.length === 0 ? {} : { Entrypoint: exec }),
    ...(workingDirectory === undefined
      ? {}
      : { WorkingDir: absolute(workingDirectory, "workingDirectory of its app") }),
    ...(mounts.length === 0 ? {} : { Volumes: Object.fromEntries(mounts.map((path) => [path, {}])) }),
    ...(ports.length === 0 ? {} : { ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])) }),
  };
}

function userOf(user: string | undefined, what: string): string {
  if (user === undefined || user === "") throw corrupt(`its app has no ${what}`);
  if (user.startsWith("/"))
    throw unsupported(`its app's ${what} is that of the file ${JSON.stringify(user.slice(0, 200))}`);
  if (/[:\s]/.test(user)) throw corrupt(`the ${what} of its app is ${JSON.stringify(user.slice(0, 200))}`);
  return user;
}

function environmentOf(app: Fields): readonly string[] {
  return (app.list("environment") ?? []).map((value) => {
    const pair = new Fields(value, "the environment of the ACI's app");
    const name = pair.text("name") ?? "";
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw corrupt(`its app has an environment variable ${JSON.stringify(name.slice(0, 200))}`);
    return `${name}=${pair.text("value") ?? ""}`;
  });
}

function mountPath(value: unknown, warnings: string[]): string {
  const mount = new Fields(value, "a mount point of the ACI's app");
  const path = absolute(mount.text("path") ?? "", "a mount point of its app");
  if (mount.flag("readOnly") === true)
    warnings.push(`the mount point ${path} should be read-only: run it with -v SOURCE:${path}:ro`);
  return path;
}

function portKeys(value: unknown, warnings: string[]): readonly string[] {
  const port = new Fields(value, "a port of the ACI's app");
  const [first, protocol, count] = [port.number("port"), port.text("protocol"), port.number("count") ?? 1];
  if (first === undefined || first < 1 || count < 1 || first + count > 65_536)
    throw corrupt(`a port of its app is ${first} (${count} of them)`);
  if (protocol !== "tcp" && protocol !== "udp")
    throw corrupt(`the protocol of its port ${first} is ${JSON.stringify(protocol?.slice(0, 40))}`);
  if (port.flag("socketActivated") === true)
    warnings.push(`port ${first} is not opened for the app (socketActivated): it must listen itself`);
  return Array.from({ length: Math.min(count, maxPorts + 1) }, (_, i) => `${first + i}/${protocol}`);
}

/** Isolators and the flag of `gantry run` that does the same. */
const isolatorFlags: ReadonlyMap<string, string> = new Map([
  ["resource/memory", "--memory"],
  ["resource/cpu", "--cpus"],
  ["os/linux/capabilities-retain-set", "--cap-drop ALL --cap-add"],
  ["os/linux/capabilities-remove-set", "--cap-drop"],
  ["os/linux/no-new-privileges", "--security-opt no-new-privileges"],
  ["os/linux/seccomp-retain-set", "--security-opt seccomp="],
  ["os/linux/seccomp-remove-set", "--security-opt seccomp="],
  ["os/linux/oom-score-adj", "--oom-score-adj"],
]);

function warnOfTheRest(app: Fields, warnings: string[]): void {
  for (const value of app.list("isolators") ?? []) {
    const name = new Fields(value, "an isolator of the ACI's app").text("name") ?? "";
    const flag = isolatorFlags.get(name);
    const remedy = flag === undefined ? "" : `: run it with ${flag}`;
    warnings.push(`the isolator ${JSON.stringify(name.slice(0, 100))} is no part of an image${remedy}`);
  }
  for (const value of app.list("eventHandlers") ?? []) {
    const name = new Fields(value, "an event handler of the ACI's app").text("name") ?? "";
    warnings.push(`the event handler ${JSON.stringify(name.slice(0, 100))} is not run`);
  }
  const groups = app.list("supplementaryGIDs") ?? [];
  if (groups.length > 0)
    warnings.push(`the app's further groups are no part of an image: run it with --group-add`);
}

/** What OCI has no field for is kept as it stands, for those who look. */
function appLabels(app: Fields): Record<string, string> {
  const keys = ["isolators", "eventHandlers", "supplementaryGIDs", "mountPoints", "ports"] as const;
  const kept = keys.flatMap((key): [string, string][] => {
    const list = app.list(key) ?? [];
    return list.length === 0 ? [] : [[`appc.io/app/${key}`, JSON.stringify(list)]];
  });
  return Object.fromEntries(kept);
}
