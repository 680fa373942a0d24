/** gantry system unit: the engine's units for systemd. */
import { readFileSync } from "node:fs";
import { isCompiled } from "../../lib/index.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";

export const unit: CommandSpec = {
  usage: "[OPTIONS] [service|socket]",
  summary: "Print the systemd units of the engine",
  about:
    "make install writes both. A drop-in of gantry.service with another ExecStart= changes the engine's flags.",
  examples: [["gantry system unit socket > /etc/systemd/system/gantry.socket", ""]],
  flags: [
    {
      name: "group",
      kind: "string",
      help: "Whose members may use the socket (docker, if there is such a group)",
    },
    { name: "program", kind: "string", help: "Path of the engine's program (this one)" },
  ],
  args: [0, 1],
  run: show,
};

async function show({ args, flags }: Invocation): Promise<number> {
  const program = flags.text("program") || (isCompiled ? process.execPath : "/usr/local/bin/gantry");
  const group = flags.text("group") || (hasGroup("docker") ? "docker" : "root");
  // It stands in a file of lines: nothing else may.
  if (!/^\/[\w./+-]+$/.test(program)) throw new CliError(`no path for a unit: ${program}`);
  if (!/^[\w.-]+$/.test(group)) throw new CliError(`no name of a group: ${group}`);
  const kind = args[0] ?? "service";
  if (kind !== "service" && kind !== "socket")
    throw new CliError(`there is no unit ${kind}`, { hint: "service or socket" });
  await print(kind === "service" ? service(program) : socket(group));
  return 0;
}

function hasGroup(name: string): boolean {
  try {
    return readFileSync("/etc/group", "utf8")
      .split("\n")
      .some((line) => line.startsWith(`${name}:`));
  } catch {
    // ENOENT: a system without groups.
    return false;
  }
}

const socket = (group: string): string => `[Unit]
Description=API socket of the Gantry container engine

[Socket]
ListenStream=/run/gantry/engine.sock
FileDescriptorName=gantry.socket
SocketMode=0660
SocketUser=root
SocketGroup=${group}
DirectoryMode=0711

[Install]
WantedBy=sockets.target
`;

/** KillMode=process, as containers outlive the engine; ExecStop ends them when the whole system stops. */
const service = (program: string): string => `[Unit]
Description=Gantry container engine
Requires=gantry.socket
Wants=network-online.target
After=gantry.socket network-online.target nss-lookup.target nftables.service firewalld.service time-set.target
StartLimitBurst=5
StartLimitIntervalSec=60

[Service]
Type=notify
ExecStart=${program} engine -H fd://
ExecReload=/bin/kill -s HUP $MAINPID
ExecStop=${program} --no-autostart system shutdown --if-host-stops
TimeoutStartSec=infinity
TimeoutStopSec=300
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
OOMScoreAdjust=-500
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`;
