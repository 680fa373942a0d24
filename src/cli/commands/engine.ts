/** gantry engine: the entry file runs it; here is what its help says. */
import type { CommandSpec } from "../command.ts";
import { CliError } from "../errors.ts";

export const engine: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Run the engine",
  about:
    "The engine serves the Docker Engine API on a unix socket. It may be killed and started again at any time:\ncontainers, their output and their exit codes do not depend on it. As root, every other command starts\none in the background when none is running.",
  examples: [
    ["gantry engine", "in the foreground; ctrl-c ends it, containers go on"],
    ["docker -H unix:///run/gantry/engine.sock ps", "the docker client works with it"],
    ["gantry engine --root /srv/g2 --state /run/g2", "a second engine beside the first: they share nothing"],
  ],
  flags: [
    {
      name: "add-runtime",
      kind: "list",
      help: "Offer a further OCI runtime (NAME=PATH); runc, crun and youki are found in PATH",
    },
    {
      name: "config",
      kind: "string",
      preset: "/etc/gantry/config.yaml",
      help: "Configuration file; its registries section has mirrors and certificates",
    },
    { name: "debug", short: "D", kind: "bool", help: "Write the debug log" },
    { name: "host", short: "H", kind: "list", help: "Also listen here (unix:///path, tcp://127.0.0.1:port)" },
    {
      name: "insecure-registry",
      kind: "list",
      help: "Neither demand TLS of this registry nor check its certificate (HOST[:PORT] or a subnet)",
    },
    {
      name: "registry-mirror",
      kind: "list",
      help: "Ask this address first when pulling from a registry ([HOST=]URL; docker.io without HOST)",
    },
    {
      name: "root",
      kind: "string",
      preset: "/var/lib/gantry",
      help: "Directory of images, containers and volumes",
    },
    {
      name: "snapshotter",
      kind: "string",
      preset: "auto",
      help: "Keep layers as directories (overlay) or as mounted files (erofs); auto: erofs where the kernel can",
    },
    {
      name: "state",
      kind: "string",
      preset: "/run/gantry",
      help: "Directory of the socket and of live state",
    },
  ],
  args: [0, 0],
  async run() {
    throw new CliError("'engine' must be the first word", {
      hint: "write its flags behind it: gantry engine --state DIR --root DIR",
      exitCode: 125,
    });
  },
};
