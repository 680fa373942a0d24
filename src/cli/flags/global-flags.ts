/** The flags that stand before the command. */
import type { Flag } from "./flag.ts";

export const globalFlags: readonly Flag[] = [
  {
    name: "host",
    short: "H",
    kind: "string",
    help: "Engine to talk to: unix:///path or tcp://host:port (else GANTRY_HOST)",
  },
  {
    name: "state",
    kind: "string",
    preset: "/run/gantry",
    help: "Directory of the engine's socket and live state",
  },
  {
    name: "root",
    kind: "string",
    help: "Data directory of an engine that is started for this command (its default: /var/lib/gantry)",
  },
  { name: "no-autostart", kind: "bool", help: "Never start an engine when none is running" },
  { name: "debug", short: "D", kind: "bool", help: "Start the engine with its debug log" },
  { name: "version", short: "v", kind: "bool", help: "Print the version and quit" },
];
