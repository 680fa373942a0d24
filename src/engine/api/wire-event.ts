/** Events as GET /events sends them, and the filters on them. Pure. */
import type { EngineEvent } from "../events.ts";
import type { Filters } from "./filters.ts";

export const eventFilters = [
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "label!",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
] as const;

/** The message of one event; old clients read `status`, `id` and `from`. */
export function wireEvent({ type, action, id, attributes, timeNs }: EngineEvent): object {
  return {
    ...(type === "container" || type === "image" ? { status: action, id } : {}),
    ...(type === "container" ? { from: attributes["image"] ?? "" } : {}),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: "local",
    time: Number(timeNs / 1_000_000_000n),
    timeNano: Number(timeNs),
  };
}

/** JSON of an event: nanoseconds since 1970 have more digits than a JavaScript number keeps. */
export function eventLine(event: EngineEvent): string {
  const text = JSON.stringify(wireEvent(event));
  return `${text.replace(/"timeNano":\d+(?:\.\d+)?(?:e\+\d+)?\}$/, `"timeNano":${event.timeNs}}`)}\n`;
}

/** True when an event is one that a client asked for. */
export function fitsEvent(event: EngineEvent, filters: Filters): boolean {
  const { type, action, id, attributes } = event;
  const verb = action.split(":")[0] ?? action;
  return (
    filters.some("type", (wish) => wish === type) &&
    filters.some("event", (wish) => wish === action || wish === verb) &&
    filters.some("scope", (wish) => wish === "local") &&
    filters.labels(attributes) &&
    (
      [
        "container",
        "image",
        "network",
        "volume",
        "daemon",
        "plugin",
        "service",
        "node",
        "secret",
        "config",
      ] as const
    ).every((kind) => filters.some(kind, (wish) => isNamed(event, kind, wish, id, attributes)))
  );
}

function isNamed(
  event: EngineEvent,
  kind: string,
  wish: string,
  id: string,
  attributes: Readonly<Record<string, string>>,
): boolean {
  if (kind === "image" && event.type === "container")
    return attributes["image"] === wish || stripTag(attributes["image"] ?? "") === wish;
  if (event.type !== kind)
    return event.type === "network" && kind === "container" && attributes["container"] === wish;
  const name = attributes["name"] ?? "";
  return (
    id === wish ||
    (wish.length >= 4 && /^[0-9a-f]+$/.test(wish) && id.replace(/^sha256:/, "").startsWith(wish)) ||
    name === wish ||
    (kind === "image" && stripTag(name) === wish)
  );
}

function stripTag(name: string): string {
  return name.replace(/:[^:/]*$/, "");
}
