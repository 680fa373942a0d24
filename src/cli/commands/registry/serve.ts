/** gantry registry serve: every setting is a flag here and a key of the configuration file. */
import { serveRegistry, settingEntries } from "../../../registry/index.ts";
import type { CommandSpec } from "../../command.ts";
import { asCli } from "./with-admin.ts";

export const serve: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Run a registry",
  about:
    "Without options: on 127.0.0.1:5000, for this machine alone, without logins until there is an account. On other\naddresses it wants TLS and accounts, or to be told that it may do without. Keys of the configuration file are\nthese options without the dashes. SIGHUP reads it, and the certificate, again; SIGTERM ends it when requests have.",
  examples: [
    ["gantry registry serve", "a registry for this machine: docker push localhost:5000/app"],
    [
      "gantry registry serve --addr :443 --acme-name registry.example --acme-email ops@example.org",
      "for the world, with a certificate from Let's Encrypt; accounts come from gantry registry user add",
    ],
    ["gantry registry serve --config /etc/gantry/registry.yml", "as a file says"],
  ],
  flags: [
    { name: "config", short: "c", kind: "string", help: "Configuration file (YAML)" },
    ...settingEntries.map(([name, { kind, help, preset }]) => ({
      name,
      help,
      kind: kind === "text" ? ("string" as const) : kind,
      ...(preset === undefined ? {} : { preset }),
    })),
  ],
  args: [0, 0],
  completes: "none",
  run: ({ flags }) =>
    asCli(() =>
      serveRegistry({
        config: flags.has("config") ? flags.text("config") : undefined,
        flags: Object.fromEntries(
          settingEntries.filter(([name]) => flags.has(name)).map(([name]) => [name, flags.list(name)]),
        ),
      }),
    ),
};
