/** POST /containers/{id}/update: what is missing, 0 or empty stays as it is. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { UpdateRequest } from "../containers/update.ts";
import { Fields } from "./json-fields.ts";
import { parseBlkioWeight } from "./parse-block-io.ts";
import { checkMemory, checkReservation, parseCpu, parseRestartPolicy } from "./parse-resources.ts";
import { type ApiVersion, isBefore, latest } from "./version-gates.ts";

/** @throws {GantryError} "invalid" with the field's name; "unsupported" for a field that is set and not honoured */
export function parseUpdate(body: unknown, version: ApiVersion = latest): UpdateRequest {
  const fields = new Fields(body, "");
  const request: UpdateRequest = {
    Memory: checkMemory(fields.integer("Memory")),
    MemorySwap: fields.integer("MemorySwap"),
    MemoryReservation: checkReservation(fields.integer("MemoryReservation")),
    ...parseCpu(fields),
    BlkioWeight: parseBlkioWeight(fields),
    ...pidsLimitOf(fields, version),
    ...restartPolicyOf(fields),
  };
  const { Memory = 0, MemorySwap = 0, MemoryReservation = 0 } = request;
  if (Memory > 0 && MemorySwap > 0 && MemorySwap < Memory)
    throw new GantryError(
      "invalid",
      "Minimum memoryswap limit should be larger than memory limit, see usage",
    );
  if (Memory > 0 && MemoryReservation > Memory)
    throw new GantryError(
      "invalid",
      "Minimum memory limit can not be less than memory reservation limit, see usage",
    );
  // No kernel limits it any more.
  fields.integer("KernelMemory");
  fields.refuseOthers();
  return request;
}

/** 0 and less are no limit: unlike the others it is changed to that, too. */
function pidsLimitOf(fields: Fields, version: ApiVersion): Pick<UpdateRequest, "PidsLimit"> {
  if (!fields.has("PidsLimit") || isBefore(version, [1, 40])) return {};
  return { PidsLimit: Math.max(0, fields.integer("PidsLimit")) };
}

function restartPolicyOf(fields: Fields): Pick<UpdateRequest, "RestartPolicy"> {
  const policy = fields.object("RestartPolicy");
  return policy.string("Name") === "" ? {} : { RestartPolicy: parseRestartPolicy(policy) };
}
