/** Containers of GET /containers/json as rows of `ps` and `system df -v`. Pure. */
import { Row } from "../template/value.ts";
import { ellipsis, goTime, humanDuration, humanSize, shortId } from "./human.ts";
import { formatPorts, type Port } from "./ports.ts";

/** What the listings use of an entry of GET /containers/json. */
export interface ContainerSummary {
  readonly Id: string;
  readonly Names: readonly string[] | null;
  readonly Image: string;
  readonly ImageID: string;
  readonly Command: string;
  readonly Created: number;
  readonly Ports: readonly Port[] | null;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly State: string;
  readonly Status: string;
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Mounts:
    readonly { readonly Name?: string; readonly Source: string; readonly Driver?: string }[] | null;
  readonly NetworkSettings?: { readonly Networks: Readonly<Record<string, unknown>> | null } | null;
}

export const containerTable =
  "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

export const containerHeaders: Readonly<Record<string, unknown>> = {
  ID: "CONTAINER ID",
  Names: "NAMES",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
  Platform: "PLATFORM",
};

/** @param nowMs the present, for "2 minutes ago" */
export function containerRow(container: ContainerSummary, truncate: boolean, nowMs: number): Row {
  const labels = container.Labels ?? {};
  // Getters, for what a listing of thousands would compute and never print.
  return new Row("*formatter.ContainerContext", {
    ID: truncate ? shortId(container.Id) : container.Id,
    Names: namesOf(container.Names ?? [], truncate),
    Image: imageOf(container, truncate),
    Command: JSON.stringify(truncate ? ellipsis(container.Command, 20) : container.Command),
    get CreatedAt() {
      return goTime(container.Created * 1000);
    },
    RunningFor: `${humanDuration(nowMs - container.Created * 1000)} ago`,
    Ports: formatPorts(container.Ports ?? []),
    State: container.State,
    Status: container.Status,
    get Size() {
      return sizeOf(container);
    },
    get Labels() {
      return Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .toSorted()
        .join(",");
    },
    Label: (name: unknown) => labels[String(name)] ?? "",
    get Mounts() {
      const mounts = (container.Mounts ?? []).map((mount) => mount.Name || mount.Source);
      return mounts.map((mount) => (truncate ? ellipsis(mount, 15) : mount)).join(",");
    },
    get LocalVolumes() {
      return String((container.Mounts ?? []).filter((mount) => mount.Driver === "local").length);
    },
    get Networks() {
      return Object.keys(container.NetworkSettings?.Networks ?? {})
        .toSorted()
        .join(",");
    },
    Platform: null,
  });
}

/** Names come with a slash in front; one with another slash inside is a link. */
function namesOf(names: readonly string[], truncate: boolean): string {
  const plain = names.map((name) => name.replace(/^\//, ""));
  return (truncate ? plain.filter((name) => !name.includes("/")).slice(0, 1) : plain).join(",");
}

function imageOf(container: ContainerSummary, truncate: boolean): string {
  if (container.Image === "") return "<no image>";
  if (!truncate) return container.Image;
  if (shortId(container.Image) === shortId(container.ImageID)) return shortId(container.Image);
  // A digest behind a name and a tag says nothing more to people.
  return container.Image.replace(/^(.*:[^/@]*)@sha256:[0-9a-f]{64}$/, "$1");
}

function sizeOf(container: ContainerSummary): string {
  const own = humanSize(container.SizeRw ?? 0, 3);
  const whole = container.SizeRootFs ?? 0;
  return whole > 0 ? `${own} (virtual ${humanSize(whole, 3)})` : own;
}
