/** What events say about a container, as Docker's do: its labels, its image and its name. Pure. */
import type { ContainerRecord } from "../container.ts";

export function containerAttributes(record: ContainerRecord): Readonly<Record<string, string>> {
  return { ...record.config.Labels, image: record.config.Image, name: record.name };
}
