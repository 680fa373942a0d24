/** POST /containers/{id}/update: what is missing, 0 or empty stays as it is. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { UpdateRequest } from "../containers/update.ts";
import { Fields } from "./json-fields.ts";
import { checkMemory, parseRestartPolicy } from "./parse-resources.ts";

/** @throws {GantryError} "invalid" with the field's name; "unsupported" for a field that is set and not honoured */
export function parseUpdate(body: unknown): UpdateRequest {
  const fields = new Fields(body, "");
  const request: UpdateRequest = {
    Memory: checkMemory(fields.integer("Memory")),
    MemorySwap: fields.integer("MemorySwap"),
    MemoryReservation: fields.integer("MemoryReservation"),
    NanoCpus: fields.integer("NanoCpus"),
    CpuShares: fields.integer("CpuShares"),
    CpuPeriod: fields.integer("CpuPeriod"),
    CpuQuota: fields.integer("CpuQuota"),
    CpusetCpus: fields.string("CpusetCpus"),
    CpusetMems: fields.string("CpusetMems"),
    PidsLimit: fields.integer("PidsLimit"),
    ...restartPolicyOf(fields),
  };
  if ((request.NanoCpus ?? 0) < 0) throw new GantryError("invalid", "NanoCpus must not be negative");
  fields.refuseOthers();
  return request;
}

function restartPolicyOf(fields: Fields): Pick<UpdateRequest, "RestartPolicy"> {
  const policy = fields.object("RestartPolicy");
  return policy.string("Name") === "" ? {} : { RestartPolicy: parseRestartPolicy(policy) };
}
