/** For `gantry explain`: which flag of the user stands behind a field of the OCI config. Pure. */
import type { ContainerRecord } from "./container.ts";
import { formatSize } from "./format-size.ts";

/** Keys are paths in config.json; values complete the sentence "because of …". Fields without an entry are defaults. */
export function flagReasons(record: ContainerRecord): Readonly<Record<string, string>> {
  const { host, config } = record;
  const reasons: Record<string, string> = {};
  const say = (path: string, set: boolean, words: string): void => {
    if (set) reasons[path] = words;
  };
  say("linux.resources.memory", host.Memory > 0, `--memory ${formatSize(host.Memory)}`);
  say("linux.resources.cpu", host.NanoCpus > 0, `--cpus ${host.NanoCpus / 1e9}`);
  say("linux.resources.cpu", host.CpuShares > 0, `--cpu-shares ${host.CpuShares}`);
  say("linux.resources.pids", host.PidsLimit > 0, `--pids-limit ${host.PidsLimit}`);
  say("process.user", config.User !== "", `--user ${config.User} or the image's USER`);
  say("process.cwd", config.WorkingDir !== "", `--workdir ${config.WorkingDir} or the image's WORKDIR`);
  say("process.args", true, "the command line, completed by the image's ENTRYPOINT and CMD");
  say("process.terminal", config.Tty, "--tty");
  say("process.rlimits", host.Ulimits.length > 0, "--ulimit");
  say("process.oomScoreAdj", host.OomScoreAdj !== 0, `--oom-score-adj ${host.OomScoreAdj}`);
  say(
    "process.noNewPrivileges",
    host.SecurityOpt.some((o) => o.startsWith("no-new-privileges")),
    "--security-opt no-new-privileges",
  );
  say("process.capabilities", host.Privileged, "--privileged");
  say("process.capabilities", host.CapAdd.length + host.CapDrop.length > 0, "--cap-add and --cap-drop");
  say("hostname", host.UTSMode !== "host", "--hostname, else the container's short id");
  say("root.readonly", host.ReadonlyRootfs, "--read-only");
  say("linux.sysctl", Object.keys(host.Sysctls).length > 0, "--sysctl");
  say("network", true, `--network ${host.NetworkMode}`);
  return reasons;
}
