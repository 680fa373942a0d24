/** gantry registry webhook …: who is told what happens. */
import { randomBytes } from "node:crypto";
import { testWebhook } from "../../../registry/index.ts";
import type { CommandSpec } from "../../command.ts";
import { CliError } from "../../errors.ts";
import { goTime } from "../../format/human.ts";
import { printError } from "../../output.ts";
import { listFormat } from "../list-flags.ts";
import { doing, placeFlags, printRows, quiet, withAdmin } from "./with-admin.ts";

export const addWebhook = doing(
  {
    usage: "[OPTIONS] NAME URL",
    summary: "Tell an address what happens",
    about:
      "Events are posted in the envelope of Docker's registry and signed: the header Gantry-Signature is t=SECONDS,v1=HEX,\nthe HMAC-SHA256 of SECONDS.BODY with the secret, which is printed once. Receivers get each event at least once.",
    examples: [
      ["gantry registry webhook add ci https://ci.example/hook", "every push"],
      [
        "gantry registry webhook add --event push --event delete --repositories 'team/**' audit http://10.0.0.5/",
        "some events of some repositories",
      ],
    ],
    flags: [
      { name: "event", kind: "strings", help: "push, delete, pull or mount (default: push, delete)" },
      { name: "repositories", kind: "string", preset: "**", help: "Pattern of repositories" },
      { name: "no-secret", kind: "bool", help: "Do not sign" },
    ],
    args: [2, 2],
  },
  async (admin, { args: [name = "", url = ""], flags }) => {
    const secret = flags.bool("no-secret") ? "" : randomBytes(24).toString("base64url");
    const actions = flags.has("event") ? flags.list("event") : ["push", "delete"];
    await admin.webhooks.add({ name, url, secret, actions, repositories: flags.text("repositories", "**") });
    await admin.note("webhook add", name);
    if (secret !== "") await printError(`The secret of ${name}, which is not shown again:\n`);
    return secret;
  },
);

export const removeWebhook = doing(
  { usage: "NAME [NAME...]", summary: "Remove webhooks and what waits for them", args: [1, Infinity] },
  async (admin, { args }) => {
    for (const name of args) {
      await admin.webhooks.remove(name);
      await admin.note("webhook rm", name);
    }
    return args.join("\n");
  },
);

export const listWebhooks: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List webhooks",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const webhooks = await withAdmin(call, (admin) => admin.webhooks.list());
    const rows = webhooks.map((one) => ({
      Name: one.name,
      URL: one.url,
      Events: one.actions.join(","),
      Repositories: one.repositories,
      Signed: one.secret !== "",
    }));
    await printRows(
      call,
      { Name: "NAME", URL: "URL", Events: "EVENTS", Repositories: "REPOSITORIES", Signed: "SIGNED" },
      rows,
    );
    return 0;
  },
};

export const testWebhookCommand = doing(
  { usage: "NAME", summary: "Post a made-up push, and show the answer", args: [1, 1] },
  async (admin, { args: [name = ""] }) => {
    const { ok, result } = await testWebhook(await admin.webhooks.get(name));
    if (!ok) throw new CliError(`${name} was not told: ${result}`);
    return result;
  },
);

export const webhookLog: CommandSpec = {
  usage: "[OPTIONS] NAME",
  summary: "List what was posted, what waits and what was given up",
  flags: [
    { name: "limit", kind: "int", preset: "50", help: "So many, the newest first" },
    listFormat,
    quiet,
    ...placeFlags,
  ],
  args: [1, 1],
  async run(call) {
    const [name = ""] = call.args;
    const log = await withAdmin(call, async (admin) => {
      await admin.webhooks.get(name);
      return admin.deliveries.log(name, call.flags.number("limit", 50));
    });
    await printRows(
      call,
      { ID: "ID", Created: "CREATED", State: "STATE", Attempts: "ATTEMPTS", Result: "RESULT" },
      log.map((one) => ({
        ID: one.id,
        Created: goTime(one.createdMs),
        State: one.state,
        Attempts: one.attempts,
        Result: one.result,
      })),
    );
    return 0;
  },
};

export const retryWebhook = doing(
  { usage: "NAME", summary: "Try again what was given up", args: [1, 1] },
  async (admin, { args: [name = ""] }) => {
    await admin.webhooks.get(name);
    return String(await admin.deliveries.revive(name));
  },
);
