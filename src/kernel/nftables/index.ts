/** nftables: nf_tables by nfnetlink, requests as bytes and replies as data. */
import {
  counter,
  ctState,
  ctStatus,
  dnatFromMap,
  fibAddressType,
  inSet,
  masquerade,
  match,
  matchAnyBit,
  matchSubnet,
  notInSet,
  selector,
  verdict,
  verdictFromMap,
} from "./expressions.ts";
import { parseChains, parseElements, parseTables } from "./replies.ts";
import {
  addChain,
  addElements,
  addMap,
  addRule,
  addSet,
  addTable,
  batch,
  deleteElements,
  deleteTable,
  dumpChains,
  dumpSetElements,
  dumpTables,
} from "./requests.ts";
import { key, value } from "./values.ts";

export type { Expression, Selector, Verdict } from "./expressions.ts";
export type { NftChain, NftElement } from "./replies.ts";
export type { BaseChain, SetElement, SetPlace } from "./requests.ts";
export type { DataType } from "./values.ts";

/** nf_tables, family ip: what to ask (one `batch` is one transaction), what rules are made of, what dumps answer. */
export const nft = {
  batch,
  addTable,
  deleteTable,
  addChain,
  addRule,
  addSet,
  addMap,
  addElements,
  deleteElements,
  dumpTables,
  dumpChains,
  dumpSetElements,
  parseTables,
  parseChains,
  parseElements,
  key,
  value,
  selector,
  ctState,
  ctStatus,
  fibAddressType,
  match,
  matchSubnet,
  matchAnyBit,
  inSet,
  notInSet,
  verdictFromMap,
  dnatFromMap,
  masquerade,
  counter,
  verdict,
} as const;
