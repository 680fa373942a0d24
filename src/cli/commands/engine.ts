/** gantry engine: the entry file runs it; here is what its help says. */
import type { CommandSpec } from "../command.ts";
import { CliError } from "../errors.ts";

export const engine: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Run the engine",
  about:
    "The engine serves the Docker Engine API on a unix socket. It may be killed and started again at any time:\ncontainers, their output and their exit codes do not depend on it. As root, every other command starts\none in the background when none is running. SIGHUP makes it read its configuration again.",
  examples: [
    ["gantry engine", "in the foreground; ctrl-c ends it, containers go on"],
    ["docker -H unix:///run/gantry/engine.sock ps", "the docker client works with it"],
    ["gantry engine --validate --config new.yaml", "is the file right?"],
    ["gantry engine --root /srv/g2 --state /run/g2", "a second engine beside the first: they share nothing"],
  ],
  flags: [
    {
      name: "add-runtime",
      kind: "list",
      help: "Offer a further OCI runtime (NAME=PATH); runc, crun and youki are found in PATH",
    },
    { name: "bip", kind: "string", help: "Address and subnet of the network bridge (10.1.0.1/16)" },
    { name: "cgroup-parent", kind: "string", help: "Put containers below this control group" },
    {
      name: "config",
      kind: "string",
      preset: "/etc/gantry/config.yaml",
      help: "Configuration file, YAML or dockerd's daemon.json",
    },
    { name: "debug", short: "D", kind: "bool", help: "Write the debug log" },
    {
      name: "default-address-pool",
      kind: "list",
      help: "Take subnets of networks from here (base=10.10.0.0/16,size=24)",
    },
    {
      name: "default-cgroupns-mode",
      kind: "string",
      help: "Control group namespace of containers (private or host)",
    },
    {
      name: "default-ipc-mode",
      kind: "string",
      preset: "private",
      help: "IPC namespace of containers (private or shareable)",
    },
    {
      name: "default-runtime",
      kind: "string",
      preset: "gantry",
      help: "OCI runtime of containers that name none",
    },
    { name: "default-shm-size", kind: "string", preset: "64m", help: "Size of /dev/shm" },
    { name: "default-ulimit", kind: "list", help: "Limits of processes (TYPE=SOFT[:HARD])" },
    { name: "dns", kind: "list", help: "Name servers of containers" },
    { name: "dns-opt", kind: "list", help: "Options of their resolver" },
    { name: "dns-search", kind: "list", help: "Domains that they look in" },
    {
      name: "group",
      short: "G",
      kind: "string",
      help: "Whose members may use the unix sockets (docker, if there is such a group)",
    },
    {
      name: "host",
      short: "H",
      kind: "list",
      help: "Also listen here (unix:///path, tcp://address:port, fd:// for sockets of systemd)",
    },
    { name: "http-proxy", kind: "string", help: "Proxy for registries" },
    { name: "https-proxy", kind: "string", help: "Proxy for registries with TLS" },
    { name: "init", kind: "bool", help: "Run a small init as process 1 of containers" },
    {
      name: "insecure-registry",
      kind: "list",
      help: "Neither demand TLS of this registry nor check its certificate (HOST[:PORT] or a subnet)",
    },
    {
      name: "ip",
      kind: "string",
      preset: "0.0.0.0",
      help: "Publish ports on this address unless another is named",
    },
    { name: "label", kind: "list", help: "Labels of the engine, shown by info" },
    { name: "log-driver", kind: "string", preset: "json-file", help: "Log driver of containers" },
    {
      name: "log-level",
      short: "l",
      kind: "string",
      preset: "info",
      help: "Least level of the log (debug, info, warn, error)",
    },
    { name: "log-opt", kind: "list", help: "Options of that driver (NAME=VALUE)" },
    { name: "max-concurrent-downloads", kind: "int", preset: "3", help: "Layers that are pulled at a time" },
    { name: "max-concurrent-uploads", kind: "int", preset: "5", help: "Layers that a push sends at a time" },
    { name: "max-download-attempts", kind: "int", preset: "5", help: "Tries of each request to a registry" },
    {
      name: "metrics-addr",
      kind: "string",
      help: "Serve GET /metrics here, for whoever asks (ADDRESS:PORT)",
    },
    { name: "mtu", kind: "int", help: "Bytes of a packet on the network bridge" },
    { name: "no-new-privileges", kind: "bool", help: "Let programs of containers gain no rights" },
    { name: "no-proxy", kind: "string", help: "Hosts that are reached without a proxy" },
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
      name: "seccomp-profile",
      kind: "string",
      preset: "builtin",
      help: "Profile of containers (a file, builtin, or unconfined)",
    },
    {
      name: "shutdown-timeout",
      kind: "int",
      preset: "15",
      help: "Seconds that containers have when the host goes down (-1: as long as they want)",
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
    { name: "tls", kind: "bool", help: "Speak TLS on TCP addresses; implied by --tlsverify" },
    {
      name: "tlscacert",
      kind: "string",
      help: "Let in clients whose certificate this one has signed (~/.docker/ca.pem)",
    },
    { name: "tlscert", kind: "string", help: "The engine's certificate (~/.docker/cert.pem)" },
    { name: "tlskey", kind: "string", help: "Its key (~/.docker/key.pem)" },
    {
      name: "tlsverify",
      kind: "bool",
      help: "Speak TLS on TCP addresses, with clients that have a certificate",
    },
    {
      name: "userns-remap",
      kind: "string",
      help: "Give containers ids of their own (USER[:GROUP], or default)",
    },
    { name: "validate", kind: "bool", help: "Judge flags and configuration file, and quit" },
  ],
  args: [0, 0],
  async run() {
    throw new CliError("'engine' must be the first word", {
      hint: "write its flags behind it: gantry engine --state DIR --root DIR",
      exitCode: 125,
    });
  },
};
