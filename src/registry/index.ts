/** registry: a server for images (distribution-spec), its stores and its rules. */
export { hashPassword, newRobotSecret } from "./access/passwords.ts";
export { settingEntries } from "./config/settings.ts";
export { parsePeriod, parseSize } from "./config/values.ts";
export { listQuotas, removeQuota, setQuota } from "./guards/quotas.ts";
export { readAudit } from "./observe/read-audit.ts";
export { printAge, type RetentionRule } from "./retention/plan.ts";
export {
  addImmutableRule,
  listImmutableRules,
  listRetentionRules,
  removeImmutableRule,
  removeRetentionRule,
  setRetentionRule,
} from "./retention/rules.ts";
export { type Admin, openAdmin } from "./serve/admin.ts";
export { serveRegistry } from "./main.ts";
export type { Action } from "./types.ts";
export { testWebhook } from "./webhooks/test-webhook.ts";
