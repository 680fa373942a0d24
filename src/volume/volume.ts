/** What a volume is and which names and options are good. Pure. */
import { GantryError } from "../lib/index.ts";

export interface Volume {
  readonly name: string;
  readonly driver: "local";
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Made without a name; goes with `rm -v`, `--rm` and a plain `volume prune`. */
  readonly anonymous: boolean;
  /** The directory that containers get, on the host. */
  readonly path: string;
}

export interface CreateVolumeRequest {
  /** Missing or "": an anonymous volume. */
  readonly name?: string;
  /** The name was made up by the caller (the engine records a container before its volumes). */
  readonly anonymous?: boolean;
  /** Missing or "": local. */
  readonly driver?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

/** The label that Docker, too, gives to volumes without a name. */
export const anonymousLabel = "com.docker.volume.anonymous";

const maxNameBytes = 255;

/** @throws {GantryError} "invalid" */
export function checkVolumeName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) && name.length <= maxNameBytes) return;
  const shown = name.slice(0, maxNameBytes);
  const message =
    name.length === 1
      ? "volume name is too short, names should be at least two alphanumeric characters"
      : `"${shown}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;
  throw new GantryError("invalid", message, { hint: "a host directory is given by its absolute path" });
}

/** @throws {GantryError} "not-found" for other drivers than local, "unsupported" or "invalid" for options */
export function checkVolumeDriver(driver: string, options: Readonly<Record<string, string>>): void {
  if (driver !== "local") {
    throw new GantryError(
      "not-found",
      `error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      {
        hint: "Gantry has the volume driver local",
      },
    );
  }
  for (const key of Object.keys(options)) {
    if (["type", "o", "device", "size"].includes(key)) {
      throw new GantryError("unsupported", `option ${key} of the volume driver local is not supported`, {
        hint: "mount the file system on the host and give its directory with -v /DIR:/TARGET",
      });
    }
    throw new GantryError("invalid", `invalid option: "${key}"`);
  }
}
