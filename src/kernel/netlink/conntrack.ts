/** ctnetlink requests as bytes. @see linux/netfilter/nfnetlink_conntrack.h */
import { be16, u32, u8 } from "./bytes.ts";
import { attribute, message, nested, NLM_F_ACK, NLM_F_REQUEST } from "./message.ts";

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const AF_INET = 2;
const IPPROTO_UDP = 17;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER = 25;
/** Bits of CTA_FILTER_ORIG_FLAGS: which parts of the tuple count. */
const protocolNumber = 1 << 3;
const destinationPort = 1 << 5;

/**
 * Forgets the UDP flows to a port, so that the next packet of each is looked at by the NAT rules again. To be sent to
 * NETLINK_NETFILTER alone, not in a batch. Kernels before 6.11 refuse it.
 */
export function flushUdpFlows(port: number): Uint8Array {
  return message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, [
    Uint8Array.of(AF_INET, 0, 0, 0),
    nested(CTA_TUPLE_ORIG, [
      nested(CTA_TUPLE_PROTO, [
        attribute(CTA_PROTO_NUM, u8(IPPROTO_UDP)),
        attribute(CTA_PROTO_DST_PORT, be16(port)),
      ]),
    ]),
    nested(CTA_FILTER, [attribute(1, u32(protocolNumber | destinationPort)), attribute(2, u32(0))]),
  ]);
}
