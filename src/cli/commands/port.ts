/** gantry port. */
import type { CommandSpec } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { hostPort } from "../format/ports.ts";
import { print } from "../output.ts";

type Bindings = Readonly<
  Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
>;

export const port: CommandSpec = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  summary: "List port mappings or a specific mapping for the container",
  aliases: ["container port", "port"],
  flags: [],
  args: [1, 2],
  completes: "running",
  async run({ args: [name = "", wanted], engine }) {
    const container = await engine.json<{ readonly NetworkSettings: { readonly Ports: Bindings | null } }>(
      "GET",
      `/containers/${segment(name)}/json`,
    );
    const ports = container.NetworkSettings.Ports ?? {};
    await print(wanted === undefined ? allPorts(ports) : onePort(ports, wanted, name));
    return 0;
  },
};

function allPorts(ports: Bindings): string {
  const keys = Object.keys(ports).toSorted(
    (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1),
  );
  return keys
    .flatMap((key) =>
      (ports[key] ?? []).map(({ HostIp, HostPort }) => `${key} -> ${hostPort(HostIp, HostPort)}\n`),
    )
    .join("");
}

function onePort(ports: Bindings, wanted: string, name: string): string {
  const key = wanted.includes("/") ? wanted.toLowerCase() : `${wanted}/tcp`;
  const bindings = Object.hasOwn(ports, key) ? ports[key] : undefined;
  if (!bindings || bindings.length === 0) {
    throw new CliError(`no public port '${wanted}' published for ${name}`, {
      hint: `see all of them with: gantry port ${name}`,
    });
  }
  return bindings.map(({ HostIp, HostPort }) => `${hostPort(HostIp, HostPort)}\n`).join("");
}
