/** An engine in a process of its own that a test kills: opens, says `ready`, and does what stdin's lines ask, without mercy. */
import { Engine } from "../../src/engine/index.ts";
import { createLogger, messageOf } from "../../src/lib/index.ts";
import { request } from "./engine-world.ts";

const [root = "", state = "", job = "idle"] = process.argv.slice(2);
const engine = await Engine.open({ root, state, logger: createLogger("warn") });
process.stdout.write("ready\n");

async function churn(worker: number): Promise<void> {
  for (let round = 0; ; round++) {
    const name = `churn-${worker}-${round}`;
    try {
      const host = { NetworkMode: round % 2 === 0 ? "bridge" : "none" };
      const { id } = await engine.containers.create(
        request(["sleep", "1000"], host, {}, `${name}-${process.pid}`),
      );
      await engine.containers.start(id);
      const exec = engine.execs.create(id, {
        cmd: ["true"],
        env: [],
        user: "",
        workingDir: "",
        tty: false,
        privileged: false,
        attachStdin: false,
        attachStdout: false,
        attachStderr: false,
        detachKeys: "",
      });
      await engine.execs.start(exec.id, { rows: 0, cols: 0 });
      await engine.containers.remove(id, { force: true, volumes: true });
    } catch (error) {
      process.stderr.write(`${name}: ${messageOf(error)}\n`);
    }
  }
}

if (job === "churn") await Promise.all([churn(0), churn(1)]);
else await new Promise(() => undefined);
