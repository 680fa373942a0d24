/** /gantry: what our own client uses beyond the Docker API. */
import type { ServerResponse } from "node:http";
import { bootstrap } from "../../image/index.ts";
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { ExecConfig } from "../execs/exec.ts";
import type { ApiEngine } from "./api-engine.ts";
import { withExitCode } from "./errors.ts";
import { type RunFrame, type RunningProgram, serveRun } from "./joined-run.ts";
import { JsonMessages } from "./output.ts";
import { parseCreate } from "./parse-create.ts";
import { parseExec } from "./parse-exec.ts";
import { textOf } from "./query.ts";
import { type Call, param, type Router } from "./router.ts";

export function addGantryRoutes(router: Router, engine: ApiEngine): void {
  const onFailure = (error: GantryError): void => logRun(engine, error);
  router.hijack("POST", "/gantry/run", (_, socket, head) =>
    serveRun(socket, head, { start: (run) => runContainer(engine, run), onFailure }),
  );
  router.hijack("POST", "/gantry/containers/:id/exec", (call, socket, head) =>
    serveRun(socket, head, { start: (run) => runExec(engine, param(call, "id"), run), onFailure }),
  );
  router.json("GET", "/gantry/containers/:id/explain", async (call) => ({
    steps: await engine.containers.explain(param(call, "id")),
  }));
  router.stream("POST", "/gantry/images/bootstrap", (call, response) =>
    bootstrapImage(engine, call, response),
  );
}

/** What is our own fault is told in the log too. */
function logRun({ logger }: ApiEngine, error: GantryError): void {
  if (error.code !== "internal") return;
  const cause = error.cause instanceof Error ? error.cause : error;
  logger.error("api.failed", { url: "/gantry", message: error.message, stack: cause.stack });
}

async function runContainer({ containers }: ApiEngine, run: RunFrame): Promise<RunningProgram> {
  const { stdin, stdout, stderr } = run.streams;
  const attach = run.detach || !(stdin || stdout || stderr) ? undefined : run.streams;
  const { id, warnings, session, exited } = await containers.run(parseCreate(run.name, run.body), {
    attach,
    rows: run.rows,
    cols: run.cols,
  });
  return { id, warnings, session, exited, signal: (number) => containers.kill(id, String(number)) };
}

/** An exec that does not come to be ends our client with docker's code of an error, 1; one that cannot start with its own. */
async function runExec({ execs }: ApiEngine, container: string, run: RunFrame): Promise<RunningProgram> {
  let id: string | undefined;
  try {
    const config = parseExec(run.body);
    id = execs.create(container, config).id;
    return await startExec(execs, id, config, run);
  } catch (error) {
    const failed = id === undefined ? undefined : execs.inspect(id).exitCode;
    throw withExitCode(error, failed ?? 1);
  }
}

async function startExec(
  execs: ApiEngine["execs"],
  id: string,
  config: ExecConfig,
  run: RunFrame,
): Promise<RunningProgram> {
  const exited = execs.exited(id);
  exited.catch(() => undefined);
  const attach = run.detach
    ? undefined
    : { stdin: config.attachStdin, stdout: config.attachStdout, stderr: config.attachStderr };
  const { session } = await execs.start(id, { attach, rows: run.rows, cols: run.cols });
  return { id, warnings: [], session, exited };
}

/** A base image made of this machine's packages. Says what it does line by line. */
async function bootstrapImage({ images }: ApiEngine, call: Call, response: ServerResponse): Promise<void> {
  const kind = textOf(call.query, "kind");
  if (kind !== "busybox" && kind !== "debian") {
    throw new GantryError("invalid", `there is no base image ${JSON.stringify(kind.slice(0, 40))} to make`, {
      hint: "there are: busybox debian",
    });
  }
  const messages = new JsonMessages(response);
  try {
    const reference = textOf(call.query, "t") || `${kind}:latest`;
    const image = await bootstrap(kind, images, {
      reference,
      signal: call.signal,
      onLine: (line) => void messages.send({ status: line }),
    });
    void messages.send({ aux: { ID: image.id } });
    void messages.send({ status: `Made ${image.repoTags.join(", ") || image.id}` });
    messages.end();
  } catch (error) {
    await messages.fail(toGantryError(error));
  }
}
