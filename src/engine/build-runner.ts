/** RUN of a build: a container without a record. After a crash its cgroup tells the next engine that it belongs to nobody. */
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { BuildRun, BuildRunner } from "../build/index.ts";
import { GantryError, shortId } from "../lib/index.ts";
import {
  type AttachSession,
  type Exited,
  killCgroup,
  type MonitorConnection,
  nodeCgroupIo,
  planContainer,
  removeCgroup,
} from "../runtime/index.ts";
import { buildRecord } from "./build-record.ts";
import { attachNetwork, type NetworkSetup } from "./containers/attach-network.ts";
import { networkFileMounts, writeNetworkFiles } from "./containers/network-files.ts";
import type { ContainerRecord } from "./container.ts";
import { checkUserNamespace } from "./containers/user-namespace.ts";
import type { EngineContext } from "./context.ts";
import { ociConfig } from "./oci-config.ts";
import { checkControllers } from "./oci-resources.ts";
import { cgroupPath, containerPaths } from "./paths.ts";

export class EngineBuildRunner implements BuildRunner {
  readonly #context: EngineContext;

  constructor(context: EngineContext) {
    this.#context = context;
  }

  /** @throws {GantryError} "canceled" when the signal aborts, after all is gone; why the command could not be started */
  async run(request: BuildRun): Promise<{ readonly exitCode: number }> {
    const context = this.#context;
    const record = buildRecord(request, context.host.hostname);
    checkControllers(record.host, context.cgroups);
    const { dir } = containerPaths(context.paths, request.id);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    try {
      request.signal.throwIfAborted();
      const attachment = await attachNetwork(context, record);
      const exited = await this.#runIn(request, record, attachment);
      request.signal.throwIfAborted();
      return { exitCode: exited.exitCode };
    } catch (error) {
      if (request.signal.aborted)
        throw new GantryError("canceled", "the build was canceled", { cause: error });
      throw error;
    } finally {
      context.networks.release(request.id);
      rmSync(dir, { recursive: true, force: true });
    }
  }

  async #runIn(
    request: BuildRun,
    record: ContainerRecord,
    attachment: NetworkSetup | undefined,
  ): Promise<Exited> {
    const context = this.#context;
    const paths = containerPaths(context.paths, record.id);
    const { control, session } = await launch(context, request, record, attachment);
    const kill = (): void => void killCgroup(context.cgroups, cgroupPath(context.paths, record));
    request.signal.addEventListener("abort", kill, { once: true });
    if (request.signal.aborted) kill();
    try {
      await relay(session, request);
      const exited = await control.exited;
      if (exited !== undefined) return exited;
      await removeCgroup(context.cgroups, cgroupPath(context.paths, record));
      throw new GantryError("internal", `the monitor of build container ${shortId(record.id)} vanished`, {
        fields: { log: join(paths.dir) },
      });
    } finally {
      request.signal.removeEventListener("abort", kill);
      control.close();
    }
  }
}

async function launch(
  context: EngineContext,
  request: BuildRun,
  record: ContainerRecord,
  attachment: NetworkSetup | undefined,
): Promise<{ readonly control: MonitorConnection; readonly session: AttachSession }> {
  const paths = containerPaths(context.paths, record.id);
  try {
    writeNetworkFiles(context, record, paths, attachment?.endpoint);
    const { lowers, upper, work } = request;
    const user = context.users.resolve({
      imageId: `build ${lowers.join(":")}`,
      lowers,
      upper,
      spec: request.user,
      groupAdd: [],
    });
    const maps = context.defaults.idMaps;
    checkUserNamespace(maps, record.host);
    const files = networkFileMounts(record, paths, []);
    const config = ociConfig({
      record,
      user,
      rootPath: context.paths.mountPoint,
      cgroupsPath: cgroupPath(context.paths, record),
      mounts: maps === undefined ? files : files.map((mount) => ({ ...mount, idMapped: true })),
      userNamespace: maps === undefined ? undefined : { maps },
      devices: [],
      defaultSysctls: context.host.defaultSysctls,
      swapAccounting: context.host.swapAccounting,
    });
    const { plan } = planContainer({
      config,
      overlay: {
        target: context.paths.mountPoint,
        lowers,
        upper,
        work,
        options: "",
        ...(maps === undefined
          ? {}
          : { mapped: { writable: dirname(upper), at: context.paths.mappedPoint } }),
      },
      cgroups: context.cgroups,
      readText: nodeCgroupIo.read,
      reasons: {},
      ...(attachment === undefined ? {} : { network: attachment.steps }),
    });
    const launched = await context.runtime.launch({
      plan,
      options: { processTitle: `gantry-init: build ${shortId(record.id)}` },
      attach: [{ stdin: false, stdout: true, stderr: true }],
      holdFds: attachment?.holdFds ?? [],
    });
    const session = launched.attached[0];
    if (session === undefined) throw new GantryError("internal", "no session was attached");
    return { control: launched.control, session };
  } finally {
    for (const fd of attachment?.holdFds ?? []) context.sys.close(fd);
  }
}

/** Resolves when all output has been taken. */
function relay(session: AttachSession, { onOutput }: BuildRun): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  session.begin({
    onOutput: (stream, bytes) => onOutput(stream, bytes) ?? undefined,
    onEnd: () => resolve(),
  });
  return promise;
}
