/** /exec and the exec call of containers. */
import type { Duplex, Writable } from "node:stream";
import type { ServerResponse } from "node:http";
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { AttachSession } from "../../runtime/index.ts";
import type { ApiEngine } from "./api-engine.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { startMessage } from "./errors.ts";
import { endConnection, frame } from "./hijack.ts";
import {
  joinResponse,
  joinSocket,
  type JoinRequest,
  refuseStdin,
  startRaw,
  streamType,
} from "./join-client.ts";
import { type ExecStartRequest, parseExec, parseExecStart } from "./parse-exec.ts";
import { readJson } from "./read-body.ts";
import { type Call, param, Reply, type Router } from "./router.ts";
import { switchHead } from "./server.ts";
import { inStartWords } from "./start-words.ts";
import { terminalSizeOf } from "./terminal-size.ts";

export function addExecRoutes(router: Router, engine: ApiEngine): void {
  const { execs } = engine;
  router.json("POST", "/containers/:id/exec", async (call) => {
    const config = parseExec(await readJson(call.request), call.version);
    return new Reply(201, { Id: execs.create(param(call, "id"), config).id });
  });
  router.add("POST", "/exec/:id/start", {
    hijack: (call, socket, head) => startJoined(engine, call, socket, head),
    stream: (call, response) => startPlain(engine, call, response),
  });
  router.json("POST", "/exec/:id/resize", (call) => {
    const { rows, cols } = terminalSizeOf(call.query);
    execs.resize(param(call, "id"), rows, cols);
    return new Reply(200);
  });
  router.json("GET", "/exec/:id/json", (call) => wireExec(engine, param(call, "id")));
}

/**
 * With an upgrade. The head goes out before anything is started, as dockerd does it: clients that read it through a buffer and
 * go on with the bare socket (docker-py) would lose output that came along. So what cannot be started is told on the stream;
 * the client then asks for the exit code.
 */
async function startJoined(engine: ApiEngine, call: Call, socket: Duplex, head: Buffer): Promise<void> {
  const request = parseExecStart(await readJson(call.request));
  const join = joinRequest(engine, call, request);
  if (request.detach) {
    await engine.execs.start(param(call, "id"), { rows: 0, cols: 0 });
    socket.write(switchHead(socket, streamType(call, join.tty)));
    return endConnection(socket);
  }
  engine.execs.checkStart(param(call, "id"));
  socket.write(switchHead(socket, streamType(call, join.tty)));
  const session = await start(engine, call, request, (error) => tell(socket, error, join.tty));
  if (session !== undefined) await joinSocket(session, join, socket, head);
}

async function startPlain(engine: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const request = parseExecStart(await readJson(call.request));
  const join = joinRequest(engine, call, request);
  if (request.detach) {
    await inStartWords(() => engine.execs.start(param(call, "id"), { rows: 0, cols: 0 }));
    response.statusCode = 200;
    return void response.end();
  }
  refuseStdin(join.stdin);
  engine.execs.checkStart(param(call, "id"));
  const session = await start(engine, call, request, (error) =>
    tell(startRaw(response, streamType(call, join.tty)), error, join.tty),
  );
  if (session !== undefined) await joinResponse(session, join, response);
}

/** As dockerd has it, the start's Tty decides whether the stream has frames, whatever the exec has. */
function joinRequest({ execs }: ApiEngine, call: Call, { detach, tty }: ExecStartRequest): JoinRequest {
  const { config } = execs.inspect(param(call, "id"));
  return { call, tty, stdin: config.attachStdin && !detach, detachKeys: config.detachKeys };
}

/** Starts the exec; undefined when it could not be started, after `onFailure` was told. */
async function start(
  { execs }: ApiEngine,
  call: Call,
  { rows, cols }: ExecStartRequest,
  onFailure: (error: GantryError) => void,
): Promise<AttachSession | undefined> {
  const id = param(call, "id");
  const { config } = execs.inspect(id);
  const attach = { stdin: config.attachStdin, stdout: config.attachStdout, stderr: config.attachStderr };
  try {
    const { session } = await execs.start(id, { attach, rows, cols });
    if (session === undefined)
      throw new GantryError("internal", `exec ${id} was started without its streams`);
    return session;
  } catch (thrown) {
    onFailure(toGantryError(thrown));
    return undefined;
  }
}

/** The failure as output of the command, then the end. */
function tell(sink: Writable, error: GantryError, tty: boolean): void {
  const text = Buffer.from(`${startMessage(error.code, error.message)}\r\n`);
  sink.write(tty ? text : frame(1, text));
  if ("resume" in sink && typeof sink.resume === "function") sink.resume();
  endConnection(sink);
}

/** As Go writes bytes. */
function detachBytes(keys: string): string {
  return keys === "" ? "" : Buffer.from(parseDetachKeys(keys)).toString("base64");
}

/** GET /exec/{id}/json. */
export function wireExec({ execs }: ApiEngine, id: string): object {
  const { config, running, exitCode, pid, containerId } = execs.inspect(id);
  const [entrypoint = "", ...args] = config.cmd;
  return {
    ID: id,
    Running: running,
    ExitCode: exitCode ?? null,
    ProcessConfig: {
      tty: config.tty,
      entrypoint,
      arguments: args,
      privileged: config.privileged,
      ...(config.user === "" ? {} : { user: config.user }),
    },
    OpenStdin: config.attachStdin,
    OpenStderr: config.attachStderr,
    OpenStdout: config.attachStdout,
    CanRemove: exitCode !== undefined,
    ContainerID: containerId,
    DetachKeys: detachBytes(config.detachKeys),
    Pid: pid,
  };
}
