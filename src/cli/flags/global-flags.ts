/** The flags that stand before the command. */
import type { Flag } from "./flag.ts";

export const globalFlags: readonly Flag[] = [
  {
    name: "host",
    short: "H",
    kind: "string",
    help: "Engine to talk to: unix:///path, tcp://host:port or ssh://user@host (else GANTRY_HOST or DOCKER_HOST)",
  },
  {
    name: "context",
    short: "c",
    kind: "string",
    help: "Name of the context to use (else DOCKER_CONTEXT, else that of `gantry context use`)",
  },
  {
    name: "config",
    kind: "string",
    help: "Directory of docker's client configuration: credentials and contexts (else DOCKER_CONFIG, else ~/.docker)",
  },
  { name: "tls", kind: "bool", help: "Use TLS; implied by --tlsverify" },
  { name: "tlsverify", kind: "bool", help: "Use TLS and verify the engine (else DOCKER_TLS_VERIFY)" },
  {
    name: "tlscacert",
    kind: "string",
    help: "Trust engines whose certificate this one has signed (DOCKER_CERT_PATH/ca.pem)",
  },
  { name: "tlscert", kind: "string", help: "Our certificate (DOCKER_CERT_PATH/cert.pem)" },
  { name: "tlskey", kind: "string", help: "Its key (DOCKER_CERT_PATH/key.pem)" },
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
