/** The streams of containers: attach, logs, stats. */
import type { ServerResponse } from "node:http";
import { GantryError } from "../../lib/index.ts";
import type { LogQuery } from "../logs/cri-line.ts";
import type { ApiEngine } from "./api-engine.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { joinResponse, joinSocket, type JoinRequest, refuseStdin, streamType } from "./join-client.ts";
import { sendStream } from "./output.ts";
import { flagOf, textOf, timeOf } from "./query.ts";
import { type Call, param, type Router } from "./router.ts";
import { sendStats } from "./send-stats.ts";
import { switchHead } from "./server.ts";

/**
 * Between the head and the first output. Clients that read the head through a buffer and go on with the bare socket (docker-py)
 * would lose what comes along with it.
 */
const headAloneMs = 2;

export function addStreamRoutes(router: Router, engine: ApiEngine): void {
  const { containers } = engine;
  router.add("POST", "/containers/:id/attach", {
    async hijack(call, socket, head) {
      const { session, request } = await attach(engine, call);
      socket.write(switchHead(socket, streamType(call, request.tty)));
      await Bun.sleep(headAloneMs);
      await joinSocket(session, request, socket, head);
    },
    async stream(call, response) {
      refuseStdin(flagOf(call.query, "stdin"));
      const { session, request } = await attach(engine, call);
      await joinResponse(session, request, response);
    },
  });
  const websocket = (): never => {
    throw new GantryError("unsupported", "attaching over a websocket is not supported", {
      hint: "use POST /containers/{id}/attach with an upgrade to tcp",
    });
  };
  router.add("GET", "/containers/:id/attach/ws", { json: websocket, hijack: websocket });
  router.stream("GET", "/containers/:id/logs", (call, response) => logs(engine, call, response));
  router.stream("GET", "/containers/:id/stats", (call, response) =>
    sendStats(() => containers.stats(param(call, "id")), call, response),
  );
}

async function attach(
  { containers }: ApiEngine,
  call: Call,
): Promise<{ session: Awaited<ReturnType<ApiEngine["containers"]["attach"]>>; request: JoinRequest }> {
  const { query } = call;
  const id = param(call, "id");
  const { record, state } = containers.view(id);
  if (state.status === "paused")
    throw new GantryError("conflict", `container ${id} is paused, unpause the container before attach`);
  if (state.status === "restarting")
    throw new GantryError("conflict", `container ${id} is restarting, wait until the container is running`);
  const detachKeys = textOf(query, "detachKeys");
  parseDetachKeys(detachKeys);
  const stream = flagOf(query, "stream");
  const streams = {
    stdin: stream && flagOf(query, "stdin") && record.config.OpenStdin,
    stdout: flagOf(query, "stdout"),
    stderr: flagOf(query, "stderr"),
  };
  const session = await containers.attach(record.id, {
    streams,
    logs: flagOf(query, "logs"),
    stream,
    detachKeys,
  });
  return { session, request: { call, tty: record.config.Tty, stdin: streams.stdin, detachKeys } };
}

async function logs({ containers }: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const { query, signal } = call;
  const id = param(call, "id");
  const { record } = containers.view(id);
  const wish = logQuery(query);
  const follow = flagOf(query, "follow");
  const source = containers.logs(record.id, wish, follow, !record.config.Tty, signal);
  await sendStream(response, source, { contentType: streamType(call, record.config.Tty), flush: follow });
}

/** @throws {GantryError} "invalid" */
export function logQuery(query: URLSearchParams): LogQuery {
  const stdout = flagOf(query, "stdout");
  const stderr = flagOf(query, "stderr");
  if (!stdout && !stderr)
    throw new GantryError("invalid", "Bad parameters: you must choose at least one stream");
  const tail = textOf(query, "tail");
  return {
    stdout,
    stderr,
    timestamps: flagOf(query, "timestamps"),
    sinceNs: timeOf(query, "since"),
    untilNs: timeOf(query, "until"),
    // As dockerd: what is no number means all.
    tail: /^\d{1,9}$/.test(tail) ? Number(tail) : "all",
  };
}
