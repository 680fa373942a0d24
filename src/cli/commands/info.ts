/** gantry info. */
import type { CommandSpec, Invocation } from "../command.ts";
import { binarySize } from "../format/human.ts";
import { print, printError } from "../output.ts";
import { clientVersion } from "../version.ts";
import { objectFormat } from "./list-flags.ts";

/** What is printed of GET /info. */
interface Info {
  readonly ID: string;
  readonly Name: string;
  readonly Containers: number;
  readonly ContainersRunning: number;
  readonly ContainersPaused: number;
  readonly ContainersStopped: number;
  readonly Images: number;
  readonly Driver: string;
  readonly DriverStatus?: readonly (readonly [string, string])[] | null;
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>> | null;
  readonly LoggingDriver: string;
  readonly CgroupDriver: string;
  readonly CgroupVersion?: string;
  readonly KernelVersion: string;
  readonly OperatingSystem: string;
  readonly OSType: string;
  readonly Architecture: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly DockerRootDir: string;
  readonly Debug: boolean;
  readonly ServerVersion: string;
  readonly Runtimes?: Readonly<Record<string, unknown>> | null;
  readonly DefaultRuntime?: string;
  readonly InitBinary?: string;
  readonly LiveRestoreEnabled?: boolean;
  readonly SecurityOptions?: readonly string[] | null;
  readonly Labels?: readonly string[] | null;
  readonly Warnings?: readonly string[] | null;
}

export const info: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Display system-wide information",
  aliases: ["system info", "info"],
  flags: [objectFormat],
  args: [0, 0],
  run: show,
};

async function show({ flags, engine }: Invocation): Promise<number> {
  const format = flags.text("format");
  const answer = await engine.json<Info>("GET", "/info");
  if (format === "") {
    await print(infoText(answer));
    for (const warning of answer.Warnings ?? []) await printError(`${warning}\n`);
    return 0;
  }
  const { compileFormat, runFormat } = await import("../format/objects.ts");
  await print(`${runFormat(compileFormat(format === "json" ? "{{json .}}" : format), answer)}\n`);
  return 0;
}

/** The text of `gantry info`. Pure. */
export function infoText(server: Info): string {
  const lines = [
    "Client:",
    ` Version:    ${clientVersion}`,
    "",
    "Server:",
    ` Containers: ${server.Containers}`,
    `  Running: ${server.ContainersRunning}`,
    `  Paused: ${server.ContainersPaused}`,
    `  Stopped: ${server.ContainersStopped}`,
    ` Images: ${server.Images}`,
    ` Server Version: ${server.ServerVersion}`,
    ` Storage Driver: ${server.Driver}`,
    ...(server.DriverStatus ?? []).map(([name, value]) => `  ${name}: ${value}`),
    ` Logging Driver: ${server.LoggingDriver}`,
    ` Cgroup Driver: ${server.CgroupDriver}`,
    ...(server.CgroupVersion === undefined ? [] : [` Cgroup Version: ${server.CgroupVersion}`]),
    " Plugins:",
    ...pluginLines(server.Plugins ?? {}),
    ` Runtimes: ${Object.keys(server.Runtimes ?? {}).join(" ")}`,
    ` Default Runtime: ${server.DefaultRuntime ?? ""}`,
    ` Init Binary: ${server.InitBinary ?? ""}`,
    ...securityLines(server.SecurityOptions ?? []),
    ` Kernel Version: ${server.KernelVersion}`,
    ` Operating System: ${server.OperatingSystem}`,
    ` OSType: ${server.OSType}`,
    ` Architecture: ${server.Architecture}`,
    ` CPUs: ${server.NCPU}`,
    ` Total Memory: ${binarySize(server.MemTotal)}`,
    ` Name: ${server.Name}`,
    ` ID: ${server.ID}`,
    ` Root Dir: ${server.DockerRootDir}`,
    ` Debug Mode: ${server.Debug}`,
    ...((server.Labels ?? []).length === 0
      ? []
      : [" Labels:", ...(server.Labels ?? []).map((label) => `  ${label}`)]),
    ` Live Restore Enabled: ${server.LiveRestoreEnabled ?? false}`,
    "",
  ];
  return `${lines.join("\n")}\n`;
}

function pluginLines(plugins: Readonly<Record<string, readonly string[] | null>>): string[] {
  return ["Volume", "Network", "Authorization", "Log"]
    .map((kind) => [kind, plugins[kind] ?? []] as const)
    .filter(([, names]) => names.length > 0)
    .map(([kind, names]) => `  ${kind}: ${names.join(" ")}`);
}

/** `name=seccomp,profile=builtin` as a name with its fields below. */
function securityLines(options: readonly string[]): string[] {
  if (options.length === 0) return [];
  const lines = options.flatMap((option) => {
    const fields = option.split(",").map((field): readonly [string, string] => {
      const at = field.indexOf("=");
      return at < 0 ? ["name", field] : [field.slice(0, at), field.slice(at + 1)];
    });
    const name = fields.find(([key]) => key === "name")?.[1] ?? option;
    const rest = fields.filter(([key]) => key !== "name");
    return [
      `  ${name}`,
      ...rest.map(([key, value]) => `   ${key.charAt(0).toUpperCase()}${key.slice(1)}: ${value}`),
    ];
  });
  return [" Security Options:", ...lines];
}
