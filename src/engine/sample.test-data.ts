/** A complete record for tests. */
import { newId } from "../lib/index.ts";
import type { ContainerRecord } from "./container.ts";
import { defaultConfig, defaultHostConfig } from "./create-defaults.ts";

export function sampleRecord(change: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: newId(),
    name: "sample",
    createdAtMs: 1_700_000_000_000,
    imageId: `sha256:${"a".repeat(64)}`,
    config: { ...defaultConfig, Image: "busybox", Cmd: ["sh"], Hostname: "sample" },
    host: defaultHostConfig,
    network: { aliases: [], ip: "", mac: "" },
    volumes: [],
    ...change,
  };
}
