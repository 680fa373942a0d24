/** Which containers a listing shows: the filters of GET /containers/json. Pure. */
import type { ImageRecord } from "../../image/index.ts";
import { GantryError } from "../../lib/index.ts";
import { type Filters, fitsName } from "./filters.ts";
import type { ContainerView } from "./wire-container.ts";

export const containerFilters = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "label!",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
] as const;

const healths = ["none", "starting", "healthy", "unhealthy"];
const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

export interface ContainerSelection {
  readonly filters: Filters;
  readonly all: boolean;
  /** At most so many, in any state; 0: no limit. */
  readonly limit: number;
}

/** What the filters ask beyond the container itself. */
export interface Lookups {
  /** By name, id or prefix. @throws {GantryError} "not-found" */
  readonly container: (reference: string) => ContainerView;
  readonly image: (reference: string) => ImageRecord | undefined;
}

/**
 * @param views newest first
 * @throws {GantryError} "invalid" for a value that no container can have; "not-found" for an unknown `before` or `since`
 */
export function selectContainers(
  views: readonly ContainerView[],
  selection: ContainerSelection,
  lookups: Lookups,
): readonly ContainerView[] {
  const { filters, limit } = selection;
  const fits = predicateOf(filters, lookups);
  const all = selection.all || limit > 0 || filters.has("status") || filters.has("exited");
  const chosen = views.filter((view) => (all || isUp(view)) && fits(view));
  return limit > 0 ? chosen.slice(0, limit) : chosen;
}

function isUp(view: ContainerView): boolean {
  return (
    view.state.status === "running" || view.state.status === "paused" || view.state.status === "restarting"
  );
}

function predicateOf(filters: Filters, lookups: Lookups): (view: ContainerView) => boolean {
  for (const status of filters.values("status")) {
    if (!statuses.includes(status))
      throw new GantryError("invalid", `invalid filter 'status=${status}'`, {
        hint: `one of: ${statuses.join(" ")}`,
      });
  }
  for (const health of filters.values("health")) {
    if (!healths.includes(health))
      throw new GantryError("invalid", `invalid filter 'health=${health}'`, {
        hint: `one of: ${healths.join(" ")}`,
      });
  }
  const exited = filters.values("exited").map((code) => {
    if (!/^\d{1,3}$/.test(code)) throw new GantryError("invalid", `invalid filter 'exited=${code}'`);
    return Number(code);
  });
  const before = createdAt(filters.one("before"), lookups);
  const since = createdAt(filters.one("since"), lookups);
  const task = filters.flag("is-task");
  const ancestors = ancestorIds(filters, lookups);
  return (view) => {
    const { record, state, mounts, endpoint } = view;
    return (
      filters.some("id", (id) => record.id.startsWith(id)) &&
      filters.some("name", (pattern) => fitsName(pattern.replace(/^(\^?)\//, "$1"), record.name)) &&
      filters.labels(record.config.Labels) &&
      filters.some("status", (status) => state.status === status) &&
      (exited.length === 0 || (state.status === "exited" && exited.includes(state.exitCode))) &&
      (before === undefined || record.createdAtMs < before) &&
      (since === undefined || record.createdAtMs > since) &&
      task !== true &&
      filters.some("health", (health) => health === (state.health?.status ?? "none")) &&
      (ancestors === undefined || ancestors(view)) &&
      filters.some("volume", (wish) =>
        mounts.some((mount) => mount.name === wish || mount.target === wish || mount.source === wish),
      ) &&
      filters.some("network", (wish) => isIn(view, wish)) &&
      filters.some("publish", (wish) =>
        (endpoint?.ports ?? []).some((port) => fitsPort(wish, port.containerPort, port.protocol)),
      ) &&
      filters.some("expose", (wish) =>
        Object.keys(record.config.ExposedPorts).some((port) =>
          fitsPort(wish, Number.parseInt(port, 10), port.split("/")[1] ?? "tcp"),
        ),
      )
    );
  };
}

function createdAt(reference: string | undefined, { container }: Lookups): number | undefined {
  return reference === undefined ? undefined : container(reference).record.createdAtMs;
}

function isIn({ record, endpoint }: ContainerView, wish: string): boolean {
  const mode = record.host.NetworkMode === "default" ? "bridge" : record.host.NetworkMode;
  return (
    mode === wish ||
    endpoint?.networkName === wish ||
    (endpoint !== undefined && wish.length >= 12 && endpoint.networkId.startsWith(wish))
  );
}

/** `80`, `80/tcp`, `8000-8010/udp`. */
function fitsPort(wish: string, port: number, protocol: string): boolean {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(wish);
  if (match === null)
    throw new GantryError("invalid", `invalid filter: ${JSON.stringify(wish.slice(0, 40))} is no port`);
  const low = Number(match[1]);
  return port >= low && port <= Number(match[2] ?? low) && protocol === (match[3] ?? "tcp");
}

/** An image or one built upon it: the ancestor's layers are the lowest of the image's. */
function ancestorIds(filters: Filters, lookups: Lookups): ((view: ContainerView) => boolean) | undefined {
  if (!filters.has("ancestor")) return undefined;
  const ancestors = filters.values("ancestor").flatMap((name) => lookups.image(name) ?? []);
  return ({ record, layers }) =>
    ancestors.some((image) => {
      if (image.id === record.imageId) return true;
      const depth = image.layerDirs.length;
      return (
        depth > 0 &&
        depth <= layers.length &&
        image.layerDirs.every((dir, i) => layers[layers.length - depth + i] === dir)
      );
    });
}
