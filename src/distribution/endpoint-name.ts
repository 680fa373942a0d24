/** Places of images as skopeo writes them: `docker://REF`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]`. */
import {
  createDockerArchive,
  createLayout,
  createLayoutArchive,
  type ImageSource,
  type ImageTarget,
  openDockerArchive,
  openLayout,
  openLayoutArchive,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../image/index.ts";
import { GantryError } from "../lib/index.ts";
import type { AuthConfig } from "./auth.ts";
import type { Registries } from "./registries.ts";

export type EndpointName =
  | { readonly transport: "docker"; readonly reference: Reference }
  | {
      readonly transport: "oci" | "oci-archive" | "docker-archive";
      readonly path: string;
      readonly tag: string | undefined;
    };

const files: ReadonlySet<string> = new Set(["oci", "oci-archive", "docker-archive"]);

/** @throws {GantryError} "invalid" */
export function parseEndpointName(text: string): EndpointName {
  if (text.startsWith("docker://"))
    return { transport: "docker", reference: withDefaultTag(parseReference(text.slice("docker://".length))) };
  const colon = text.indexOf(":");
  const transport = text.slice(0, Math.max(0, colon));
  if (!files.has(transport))
    throw new GantryError(
      "invalid",
      `${JSON.stringify(text.slice(0, 200))} does not say what kind of place it is`,
      {
        hint: "there are docker://IMAGE, oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG] and docker-archive:FILE[:IMAGE]",
      },
    );
  const rest = text.slice(colon + 1);
  const cut = rest.indexOf(":");
  const path = cut < 0 ? rest : rest.slice(0, cut);
  if (path === "")
    throw new GantryError("invalid", `${transport}: names no ${transport === "oci" ? "directory" : "file"}`);
  const tag = cut < 0 ? undefined : rest.slice(cut + 1);
  return {
    transport: transport as "oci" | "oci-archive" | "docker-archive",
    path,
    tag: tag === "" ? undefined : tag,
  };
}

export async function openSource(
  name: EndpointName,
  registries: Registries,
  auth?: AuthConfig,
): Promise<ImageSource> {
  switch (name.transport) {
    case "docker":
      return registries.source(name.reference, auth);
    case "oci":
      return openLayout(name.path, name.tag);
    case "oci-archive":
      return openLayoutArchive(name.path, name.tag);
    case "docker-archive":
      return openDockerArchive(name.path, name.tag);
  }
}

/** The target, and the name that an image gets in it. */
export async function openTarget(
  name: EndpointName,
  registries: Registries,
  auth?: AuthConfig,
): Promise<{ readonly target: ImageTarget; readonly tag: string | undefined }> {
  switch (name.transport) {
    case "docker":
      return {
        target: await registries.target(name.reference, auth),
        tag: name.reference.digest ?? name.reference.tag,
      };
    case "oci":
      return { target: await createLayout(name.path), tag: name.tag };
    case "oci-archive":
      return { target: await createLayoutArchive(name.path), tag: name.tag };
    case "docker-archive":
      return { target: await createDockerArchive(name.path, name.tag), tag: name.tag };
  }
}
