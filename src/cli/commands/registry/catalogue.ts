/** The catalogue of `gantry registry`, as the one of all commands: names, lines for the help, imports. */
import type { Entry, Group } from "../../commands.ts";

const accounts = (summary: string, pick: keyof typeof import("./accounts.ts")): Entry => ({
  summary,
  load: async () => (await import("./accounts.ts"))[pick],
});
const rules = (summary: string, pick: keyof typeof import("./rules.ts")): Entry => ({
  summary,
  load: async () => (await import("./rules.ts"))[pick],
});
const webhooks = (summary: string, pick: keyof typeof import("./webhooks.ts")): Entry => ({
  summary,
  load: async () => (await import("./webhooks.ts"))[pick],
});
const operate = (summary: string, pick: keyof typeof import("./operate.ts")): Entry => ({
  summary,
  load: async () => (await import("./operate.ts"))[pick],
});

export const registry: Group = {
  summary: "Run a registry and look after it",
  members: {
    serve: { summary: "Run a registry", load: async () => (await import("./serve.ts")).serve },
    status: operate("Show what the registry holds and how it does", "status"),
    audit: operate("Show who did what", "audit"),
    gc: operate("Free the bytes that nothing refers to", "gc"),
    scrub: operate("Read all blobs again and put aside what has changed", "scrub"),
    grant: accounts("Let an account do something in repositories", "grant"),
    revoke: accounts("Take a right away", "revoke"),
    rights: accounts("List rights", "rights"),
    "read-only": rules("Let nothing be pushed or deleted for a while", "readOnly"),
    user: {
      summary: "Manage users",
      members: {
        add: accounts("Add a user", "addUser"),
        disable: accounts("Keep an account out; its logins end at once", "disable"),
        enable: accounts("Let an account in again", "enable"),
        ls: accounts("List users", "listUsers"),
        passwd: accounts("Give a user a new password", "passwd"),
        rm: accounts("Remove users, their rights and logins", "removeUser"),
      },
    },
    robot: {
      summary: "Manage robots",
      members: {
        add: accounts("Add a robot, and print its secret once", "addRobot"),
        ls: accounts("List robots", "listRobots"),
        rm: accounts("Remove robots, their rights and logins", "removeRobot"),
      },
    },
    key: {
      summary: "Manage the keys that sign tokens",
      members: {
        ls: accounts("List the keys that sign tokens", "listKeys"),
        rotate: accounts("Sign tokens with a new key", "rotateKey"),
      },
    },
    public: {
      summary: "Manage repositories that everybody may pull from",
      members: {
        add: accounts("Let everybody pull from repositories, without a login", "addPublic"),
        ls: accounts("List patterns of public repositories", "listPublic"),
        rm: accounts("Ask for a login again", "removePublic"),
      },
    },
    repo: {
      summary: "Manage repositories",
      members: {
        ls: operate("List repositories with their tags, manifests and bytes", "listRepositories"),
        rm: operate("Remove repositories with all their tags and manifests", "removeRepository"),
      },
    },
    quota: {
      summary: "Manage quotas",
      members: {
        ls: rules("List quotas and how much of each is used", "listQuotasCommand"),
        rm: rules("Remove a quota", "removeQuotaCommand"),
        set: rules("Bound what repositories may hold", "setQuotaCommand"),
      },
    },
    immutable: {
      summary: "Manage tags that may not move",
      members: {
        add: rules("Forbid tags to be moved or removed", "addImmutable"),
        ls: rules("List patterns of immutable tags", "listImmutable"),
        rm: rules("Let tags be moved again", "removeImmutable"),
      },
    },
    retention: {
      summary: "Manage what is kept for how long",
      members: {
        ls: rules("List retention rules", "listRetention"),
        plan: rules("Show what retention would do, and why", "planRetentionCommand"),
        rm: rules("Remove a retention rule", "removeRetention"),
        run: rules("Delete what the rules say, now", "runRetentionCommand"),
        set: rules("Set a retention rule", "setRetention"),
      },
    },
    webhook: {
      summary: "Manage webhooks",
      members: {
        add: webhooks("Tell an address what happens", "addWebhook"),
        log: webhooks("List what was posted, what waits and what was given up", "webhookLog"),
        ls: webhooks("List webhooks", "listWebhooks"),
        retry: webhooks("Try again what was given up", "retryWebhook"),
        rm: webhooks("Remove webhooks and what waits for them", "removeWebhook"),
        test: webhooks("Post a made-up push, and show the answer", "testWebhookCommand"),
      },
    },
  },
};
